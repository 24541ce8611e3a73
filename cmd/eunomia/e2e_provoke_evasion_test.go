package main

var provokeEvasion = map[string]provocation{
	"shell_history_cleared":     inContainer(`echo x >/root/.ash_history; : >/root/.ash_history`),
	"shell_history_removed":     inContainer(`run rm -f /root/.bash_history`),
	"log_truncated":             inContainer(`echo x >/var/log/auth.log; : >/var/log/auth.log`),
	"log_removed":               onHost(`run rm -f /var/log/auth.log`),
	"security_service_stopped":  inContainer(`run systemctl stop auditd`),
	"security_setting_weakened": inContainer(`run setenforce 0`),
	"firewall_flushed":          inContainer(`run iptables -F`),
	"timestamp_forged":          inContainer(`run touch -t 202001010000 /tmp/x`),
	"file_made_immutable":       inContainer(`run chattr +i /etc/passwd`),

	"encoded_command":             inContainer(`run sh -c 'echo Ogo= | base64 -d | sh'`),
	"decoding_in_container":       inContainer(`echo Ogo= | run base64 -d`),
	"kernel_thread_impersonated":  inContainer(`exec -a '[kworker/0:1]' /bin/busybox`),
	"kernel_thread_name_executed": inContainer(`run kworker`),
	"linker_runs_program":         inContainer(`run ld-linux-x86-64.so.2 /tmp/x`),
	"preload_given_to_program":    inContainer(`run env LD_PRELOAD=/tmp/x.so true`),
}

var provokeCredentials = map[string]provocation{
	"shadow_file_read":          inContainer(`run cat /etc/shadow`),
	"sensitive_file_read":       inContainer(`: >/etc/sudoers; run cat /etc/sudoers`),
	"credential_files_archived": onHost(`cp /bin/busybox /usr/bin/tar; /usr/bin/tar -cf /dev/null /etc/shadow`),
	"ssh_private_key_read":      inContainer(`: >/root/id_rsa; run cat /root/id_rsa`),
	"cloud_credentials_read":    inContainer(`mkdir /root/.aws; : >/root/.aws/credentials; run cat /root/.aws/credentials`),
	"process_environment_read":  inContainer(`run cat /proc/self/environ`),
	"credentials_searched":      inContainer(`run grep -r password= /home`),
	"kernel_memory_read":        inContainer(`mknod /dev/mem c 1 1; : </dev/mem`),
	"packets_captured":          inContainer(`run tcpdump -i any`),

	"service_account_token_read_by_tool": inContainer(token + `run cat $token`),
	"service_account_token_read":         inContainer(token + `run wc $token`),
	"metadata_credentials_requested":     inContainer(`run wget -T 1 http://169.254.169.254/latest/meta-data/`),
	"metadata_service_contacted":         inContainer(`run nc -w 1 169.254.169.254 80`),
	"metadata_service_contacted_by_tool": inContainer(`run nc -w 1 169.254.169.254 80`),
}

// token begins scripts that read the token of a Kubernetes service account.
const token = `token=/run/secrets/kubernetes.io/serviceaccount/token; mkdir -p "${token%/*}"; : >$token
`
