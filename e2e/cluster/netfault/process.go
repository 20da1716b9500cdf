package netfault

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Processes is the Owner for members that are processes of this machine: it looks
// up who holds the socket. It returns the process ids of the members as they are
// now, 0 for one that does not run.
func Processes(pids func() []int) Owner {
	return func(socket, proxy netip.AddrPort) (int, bool) {
		inode, ok := inodeOf(socket, proxy)
		if !ok {
			return 0, false
		}
		for i, pid := range pids() {
			if pid != 0 && holds(pid, inode) {
				return i, true
			}
		}
		return 0, false
	}
}

// inodeOf finds a connection in the kernel's table.
func inodeOf(local, remote netip.AddrPort) (string, bool) {
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return "", false
	}
	from, to := hex(local), hex(remote)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[1] == from && f[2] == to {
			return f[9], f[9] != "0"
		}
	}
	return "", false
}

// hex is an address as the table has it, on a little-endian machine.
func hex(a netip.AddrPort) string {
	b := a.Addr().As4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", b[3], b[2], b[1], b[0], a.Port())
}

// holds says whether a process has a socket open.
func holds(pid int, inode string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	want := "socket:[" + inode + "]"
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == want {
			return true
		}
	}
	return false
}
