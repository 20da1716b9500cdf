package losefs

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// sectorSize is the unit that a disk writes in one piece.
const sectorSize = 512

// crash writes to the backing tree what survives and reports what does not.
// The disk cannot be used afterwards.
func (d *disk) crash(loss Loss, seed uint64) (Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, uint64(loss)))
	var report Report
	for _, in := range d.dirty() {
		kept := in.content.survivors(loss, rng)
		if lost := dataBytes(in.content.log) - dataBytes(kept); lost > 0 || len(kept) < len(in.content.log) {
			report.Writes++
			report.Bytes += lost
		}
		if err := in.content.apply(kept); err != nil {
			return report, err
		}
	}
	names := d.journal.unsynced()
	keep := 0
	switch loss {
	case Subset:
		keep = rng.IntN(names + 1)
	case Torn:
		keep = names
	case All:
	}
	report.Names = names - keep
	for _, e := range d.journal {
		if !e.synced && keep > 0 {
			e.synced = true
			keep--
		}
	}
	return report, d.flushNames()
}

// dirty returns the files with unsynced changes in the order of their
// creation, so that a seed always means the same crash.
func (d *disk) dirty() []*inode {
	var dirty []*inode
	for in := range d.files {
		if in.base != nil && len(in.content.log) > 0 {
			dirty = append(dirty, in)
		}
	}
	slices.SortFunc(dirty, func(a, b *inode) int { return cmp.Compare(a.ino, b.ino) })
	return dirty
}

func (d *disk) unsynced() Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	report := Report{Names: d.journal.unsynced()}
	for _, in := range d.dirty() {
		report.Writes += len(in.content.log)
		report.Bytes += dataBytes(in.content.log)
	}
	return report
}

// survivors returns the changes that a crash leaves on the disk.
func (c *content) survivors(loss Loss, rng *rand.Rand) []change {
	switch loss {
	case Subset:
		return subset(c.log, rng)
	case Torn:
		return torn(c.log, rng)
	case All:
	}
	return nil
}

// subset keeps each 4 KiB block of each write, and each growth, by chance.
// The first shrink that is dropped takes everything after it along.
func subset(log []change, rng *rand.Rand) []change {
	keep := rng.Float64()
	var kept []change
	for _, ch := range log {
		switch {
		case ch.kind == changeWrite:
			eachPage(ch.off, ch.length, func(_, _, at, n int64) {
				if rng.Float64() < keep {
					kept = append(kept, change{kind: changeWrite, off: ch.off + at, length: n, data: ch.data[at : at+n]})
				}
			})
		case rng.Float64() < keep:
			kept = append(kept, ch)
		case ch.shrink:
			return kept
		}
	}
	return kept
}

// torn keeps everything up to the last write and of that the part before a
// sector boundary within it, nothing if no boundary lies within it.
func torn(log []change, rng *rand.Rand) []change {
	last := len(log) - 1
	for last >= 0 && log[last].kind != changeWrite {
		last--
	}
	if last < 0 {
		return log
	}
	kept, ch := log[:last:last], log[last]
	first := ch.off/sectorSize + 1               // first boundary after the start
	end := (ch.off + ch.length - 1) / sectorSize // last one before the end
	if end < first {
		return kept
	}
	n := (first+rng.Int64N(end-first+1))*sectorSize - ch.off
	return append(kept, change{kind: changeWrite, off: ch.off, length: n, data: ch.data[:n]})
}

// dataBytes counts the bytes in changes.
func dataBytes(changes []change) int {
	total := 0
	for _, ch := range changes {
		total += len(ch.data)
	}
	return total
}
