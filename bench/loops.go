package main

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is a prepared load. do makes n operations; close returns what went wrong.
type loop struct {
	do    func(n int) error
	close func() []error
}

func nothing() []error { return nil }

// loops lists the loads. They use raw system calls: nothing of Go's scheduler or
// poller comes between two operations.
var loops = map[string]func(target string) (loop, error){
	"openclose": openclose,
	"getppid":   getppid,
	"readwrite": readwrite,
	"connect":   connect,
	"forkexec":  forkexec,
	"act":       act,
}

// quietFile is what the loop opens: no rule has a reason to match its being read.
const quietFile = "/etc/hostname"

func openclose(string) (loop, error) {
	path, err := unix.BytePtrFromString(quietFile)
	if err != nil {
		return loop{}, err
	}
	return loop{func(n int) error {
		for range n {
			fd, errno := openRaw(path, unix.O_RDONLY|unix.O_CLOEXEC)
			if errno != 0 {
				return errno
			}
			closeRaw(fd)
		}
		return nil
	}, nothing}, nil
}

func openRaw(path *byte, flags uintptr) (uintptr, syscall.Errno) {
	const fdcwd = ^uintptr(-unix.AT_FDCWD - 1)
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, fdcwd, uintptr(unsafe.Pointer(path)), flags, 0, 0, 0)
	return fd, errno
}

// closeRaw closes what was just opened: a failure would show as descriptors running out.
func closeRaw(fd uintptr) { _, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0) }

func getppid(string) (loop, error) {
	return loop{func(n int) error {
		for range n {
			_, _, _ = syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
		}
		return nil
	}, nothing}, nil
}

// readwrite reads a byte and writes it, on devices that do next to nothing: the
// share of the detector is as large as it can be.
func readwrite(string) (loop, error) {
	from, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return loop{}, err
	}
	to, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return loop{}, err
	}
	buf := new([1]byte)
	at := uintptr(unsafe.Pointer(buf))
	return loop{func(n int) error {
		for range n {
			if _, _, errno := syscall.RawSyscall6(syscall.SYS_PREAD64, uintptr(from), at, 1, 0, 0, 0); errno != 0 {
				return errno
			}
			if _, _, errno := syscall.RawSyscall6(syscall.SYS_PWRITE64, uintptr(to), at, 1, 0, 0, 0); errno != 0 {
				return errno
			}
		}
		return nil
	}, func() []error { buf[0] = 0; return []error{unix.Close(from), unix.Close(to)} }}, nil
}

// connect makes a TCP connection over loopback, accepts it and ends it with a
// reset, so that no port is left waiting.
func connect(string) (loop, error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return loop{}, err
	}
	// What is accepted inherits it: closed without lingering, it resets its connection.
	if err := unix.SetsockoptLinger(listener, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return loop{}, err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return loop{}, err
	}
	if err := unix.Listen(listener, 64); err != nil {
		return loop{}, err
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		return loop{}, err
	}
	port := name.(*unix.SockaddrInet4).Port
	address := &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: uint16(port>>8) | uint16(port&0xff)<<8, Addr: [4]byte{127, 0, 0, 1}}
	once := func() error {
		fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if errno != 0 {
			return errno
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, fd, uintptr(unsafe.Pointer(address)), unsafe.Sizeof(*address)); errno != 0 {
			return errno
		}
		peer, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		if errno != 0 {
			return errno
		}
		closeRaw(peer)
		closeRaw(fd)
		return nil
	}
	return loop{repeat(once), func() []error { return []error{unix.Close(listener)} }}, nil
}

// forkexec starts a small dynamically linked program, as shells do all day, and
// waits for it. The child shares the parent's memory until it executes (vfork).
func forkexec(string) (loop, error) {
	argv := []string{"/bin/true"}
	attr := &syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{0, 1, 2}}
	return loop{repeat(func() error {
		pid, err := syscall.ForkExec(argv[0], argv, attr)
		if err != nil {
			return err
		}
		var status syscall.WaitStatus
		for {
			_, err := syscall.Wait4(pid, &status, 0, nil)
			if !errors.Is(err, syscall.EINTR) {
				return err
			}
		}
	}), nothing}, nil
}

func repeat(once func() error) func(int) error {
	return func(n int) error {
		for range n {
			if err := once(); err != nil {
				return err
			}
		}
		return nil
	}
}

// act asks for files that do not exist in the target directory, each named for the
// moment it is asked for, so that whoever hears of it knows how long that took.
func act(target string) (loop, error) {
	if target == "" {
		return loop{}, os.ErrInvalid
	}
	dir := target + "/"
	name := make([]byte, 0, len(dir)+24)
	return loop{repeat(func() error {
		name = append(strconv.AppendInt(append(name[:0], dir...), time.Now().UnixNano(), 10), 0)
		if _, errno := openRaw(&name[0], unix.O_RDONLY|unix.O_CLOEXEC); errno != unix.ENOENT {
			return errors.Join(errors.New("the file should not exist"), errno)
		}
		return nil
	}), nothing}, nil
}
