package main

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// fdatasync measures 256 B writes into a preallocated file, each synced: the
// floor under every acknowledged write.
func fdatasync(dir string, d time.Duration) (result, error) {
	path := filepath.Join(dir, "fdatasync")
	f, err := os.Create(path)
	if err != nil {
		return result{}, err
	}
	defer os.Remove(path)
	defer f.Close()
	if _, err := f.Write(make([]byte, 16<<20)); err != nil {
		return result{}, err
	}
	if err := f.Sync(); err != nil {
		return result{}, err
	}
	var samples []time.Duration
	block := make([]byte, 256)
	for begin, off := time.Now(), int64(0); time.Since(begin) < d; off = (off + 256) % (16 << 20) {
		start := time.Now()
		if _, err := f.WriteAt(block, off); err != nil {
			return result{}, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return result{}, err
		}
		samples = append(samples, time.Since(start))
	}
	slices.Sort(samples)
	return result{rate: float64(len(samples)) / d.Seconds(), p50: samples[len(samples)/2], p99: samples[len(samples)*99/100]}, nil
}
