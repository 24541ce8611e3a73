package main

import (
	"net"
	"path/filepath"
	"testing"

	"eunomia/internal/testutil"
)

var provokePrivilege = map[string]provocation{
	// The kernel's own files are never written: others of the same name do, and the trigger is opened only, read-only.
	"release_agent_written": inContainer(`: >/tmp/release_agent`),
	"kernel_helper_written": inContainer(`mkdir /tmp/kernel; : >/tmp/kernel/core_pattern`),
	"sysrq_triggered":       inContainer(`: >/proc/sysrq-trigger`),

	"container_runtime_socket_connected": connectToRuntime,
	"container_runtime_socket_opened":    inContainer(`: >/run/docker.sock`),
	"container_client_in_container":      inContainer(`run kubectl get secrets`),
	"namespace_tool_in_container":        inContainer(`run nsenter -t 1 -m true`),
	"chroot_in_container":                inContainer(`run chroot / true`),
	"mount_in_container":                 inContainer(`run mount -t tmpfs none /tmp`),
	// The container's device rules deny the open, and the numbers are no disk's.
	"host_disk_opened_in_container":     inContainer(`mknod /dev/vda b 254 254; : </dev/vda`),
	"file_system_debugger_in_container": inContainer(`run debugfs /dev/vda`),
	"host_root_reached_through_proc":    inContainer(`run ls /proc/1/root/`),
	"host_root_denied_through_proc":     inContainer(`run su app -c '/bin/cat /proc/1/root/etc/hostname'`),
	"write_to_host_mount":               inContainer(`mkdir -p /host/etc; : >/host/etc/x`),

	"kernel_module_tool_in_container":           inContainer(`run insmod /no/such.ko`),
	"kernel_module_loaded_by_capable_container": inContainer(`run insmod /no/such.ko`, privileged),
	"kernel_module_loaded_by_hand":              onHost(`run insmod /no/such.ko`),

	"become_root_in_container": inContainer(`/bin/su -c true`, asApp),
	"unknown_setuid_program":   inContainer(`cp /bin/busybox /home/true; chmod 4755 /home/true; su app -c /home/true`),
	"setuid_interpreter":       inContainer(`cp /bin/busybox /usr/bin/bash; chmod 4755 /usr/bin/bash; su app -c 'bash -p'`),
	"service_gained_root": inContainer(`cp /bin/busybox /home/true; chmod 4755 /home/true
		program nginx /home/true; su app -c nginx`),
	"shell_from_allowed_program": inContainer(`program find '/bin/sh </dev/null'; program sudo /usr/local/bin/find; sudo`, inTerminal),
	"pkexec_without_arguments":   inContainer(`ln -s /bin/busybox /usr/bin/pkexec; exec -a '' /usr/bin/pkexec`),
	"sudoedit_overflow":          inContainer(`run sudoedit -s 'x\'`),
	"setuid_bit_set":             inContainer(`: >/tmp/x; run chmod u+s /tmp/x`),

	"dangerous_file_capability_set": inContainer(`run setcap cap_setuid+ep /bin/busybox`),
	"process_memory_written":        inContainer(`: >>/proc/self/mem`),
	"debugger_in_container":         inContainer(`run gdb -p 1`),
}

// connectToRuntime lets a container connect to a socket of the runtime's name. Of busybox's applets, logger connects to
// a unix socket.
func connectToRuntime(t *testing.T) func(liveAlert) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return inContainer(`logger x`, func(o *testutil.ContainerOptions) { o.Mounts = []string{path + ":/dev/log"} })(t)
}
