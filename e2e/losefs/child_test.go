package losefs_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/easynet-cn/batata/e2e/losefs"
)

var bucket = []byte("b")

// runChild is the program: whatever maps files must not run in the process
// that serves them.
func runChild(job string, args []string) int {
	jobs := map[string]func([]string) error{
		"commit": childCommit, "verify": childVerify, "mapped": childMapped,
	}
	if err := jobs[job](args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// childCommit writes numbered keys to a database for ever, one transaction
// each, and prints each number once its transaction is committed.
func childCommit(args []string) error {
	db, err := bbolt.Open(args[0], 0o600, &bbolt.Options{NoSync: args[1] == "nosync"})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			if err != nil {
				return err
			}
			return b.Put([]byte(strconv.Itoa(i)), []byte(strings.Repeat("v", 100+i)))
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Println(i); err != nil {
			return err
		}
	}
}

// childVerify checks the database and prints how many keys from zero on it
// holds.
func childVerify(args []string) error {
	db, err := bbolt.Open(args[0], 0o600, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		n, b := 0, tx.Bucket(bucket)
		for b != nil && len(b.Get([]byte(strconv.Itoa(n)))) == 100+n {
			n++
		}
		_, err := fmt.Println(n)
		return err
	})
}

// childMapped proves that mapped memory and file agree: it writes the one and
// reads the other, both ways, and syncs the mapped change on request.
func childMapped(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	before := mapped[0]
	if _, err := f.WriteAt([]byte("file"), 0); err != nil {
		return err
	}
	if got := string(mapped[:4]); got != "file" {
		return fmt.Errorf("mapped memory = %q after writing %q (first byte was %q)", got, "file", before)
	}
	copy(mapped[4096:], "memory")
	if args[1] == "sync" {
		if err := unix.Msync(mapped, unix.MS_SYNC); err != nil {
			return err
		}
	}
	data := make([]byte, 6)
	if _, err := f.ReadAt(data, 4096); err != nil || string(data) != "memory" {
		return fmt.Errorf("file = %q, %w after changing mapped memory to %q", data, err, "memory")
	}
	return nil
}

func child(job string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childJob+"="+job)
	return cmd
}

// commitAndKill lets a child commit until it acknowledged the given number of
// transactions, kills it and returns the last number acknowledged.
func commitAndKill(t *testing.T, path, sync string, acks int) int {
	t.Helper()
	cmd := child("commit", path, sync)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acked, err = strconv.Atoi(lines.Text()); err != nil {
			t.Errorf("child printed %q, want a number", lines.Text())
		}
		if acked == acks {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); acked < acks {
		t.Fatalf("child ended with %v after %d commits, want %d", err, acked+1, acks+1)
	}
	return acked
}

// verify returns how many keys the database holds, and whether it is sound.
func verify(t *testing.T, path string) (int, error) {
	t.Helper()
	out, err := child("verify", path).Output()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return n, nil
}

// TestBboltSurvives (REL-02): an unmodified database that syncs keeps every
// acknowledged transaction through every kind of crash.
func TestBboltSurvives(t *testing.T) {
	for _, loss := range []losefs.Loss{losefs.All, losefs.Subset, losefs.Torn} {
		t.Run(loss.String(), func(t *testing.T) {
			m := mount(t)
			m.write("db", "", true) // bbolt does not sync the directory of a new file
			m.syncDir(".")
			for seed := range uint64(3) {
				acked := commitAndKill(t, m.path("db"), "sync", 40+7*int(seed))
				report := m.crash(loss, seed)
				n, err := verify(t, m.path("db"))
				if err != nil || n <= acked {
					t.Errorf("seed %d: database holds %d transactions, %v, want at least %d", seed, n, err, acked+1)
				}
				t.Logf("seed %d: %d acknowledged, %d kept, lost %+v", seed, acked+1, n, report)
			}
		})
	}
}

// TestBboltWithoutSyncLoses (REL-02): the counter-proof.
func TestBboltWithoutSyncLoses(t *testing.T) {
	m := mount(t)
	m.write("db", "", true)
	m.syncDir(".")
	acked := commitAndKill(t, m.path("db"), "nosync", 100)
	if n, err := verify(t, m.path("db")); err != nil || n <= acked {
		t.Fatalf("before the crash the database holds %d transactions, %v, want at least %d", n, err, acked+1)
	}
	report := m.crash(losefs.All, 0)
	if n, err := verify(t, m.path("db")); err == nil && n > acked {
		t.Errorf("database without sync kept all %d transactions through a crash that lost %+v, want a loss", n, report)
	}
}

func TestMappedMemory(t *testing.T) {
	for sync, want := range map[string]string{"sync": "memory", "no": "------"} {
		m := mount(t)
		m.write("f", strings.Repeat("-", 8192), true)
		m.syncDir(".")
		if out, err := child("mapped", m.path("f"), sync).CombinedOutput(); err != nil {
			t.Errorf("child with mapped file: %v: %s", err, out)
		}
		m.crash(losefs.All, 0)
		if got := tree(t, m.mounted)["f"][4096:4102]; got != want {
			t.Errorf("mapped change with msync %q after crash = %q, want %q", sync, got, want)
		}
	}
}

// BenchmarkSyncedAppend is the cost of one 4 KiB append with fdatasync.
func BenchmarkSyncedAppend(b *testing.B) {
	mountpoint := b.TempDir()
	f, err := losefs.Mount(b.TempDir(), mountpoint, losefs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Unmount()
	file, err := os.Create(mountpoint + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 4096)
	for b.Loop() {
		if _, err := file.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			b.Fatal(err)
		}
	}
}
