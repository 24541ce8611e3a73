package main

var provokePersistence = map[string]provocation{
	"write_below_binary_directory":              onHost(`: >/usr/bin/x`),
	"write_below_binary_directory_in_container": inContainer(`: >/usr/bin/x`),
	"write_below_local_binary_directory":        inContainer(`: >/usr/local/bin/x`),
	"write_below_library_directory":             inContainer(`mkdir -p /usr/lib; : >/usr/lib/x.so`),
	"write_below_etc":                           inContainer(`: >/etc/x`),
	"boot_files_written":                        inContainer(`mkdir /boot; : >/boot/x`),

	"account_files_modified":              onHost(`: >>/etc/passwd`),
	"account_files_modified_in_container": inContainer(`: >>/etc/passwd`),
	"account_tool_in_container":           inContainer(`run useradd -m x`),
	"account_tool_on_host":                onHost(`run useradd -m x`),
	"second_root_account":                 inContainer(`run useradd -o -u 0 x`),
	"authentication_modules_written":      inContainer(`mkdir /etc/pam.d; : >/etc/pam.d/sshd`),
	"authorized_keys_written":             inContainer(`mkdir /root/.ssh; : >>/root/.ssh/authorized_keys`),
	"ssh_configuration_written":           onHost(`mkdir /etc/ssh; : >>/etc/ssh/sshd_config`),

	"cron_job_written":                      onHost(`: >/etc/cron.d/x`),
	"crontab_edited":                        inContainer(`run crontab -e`),
	"at_job_scheduled":                      inContainer(`run at now`),
	"systemd_unit_written":                  onHost(`mkdir -p /etc/systemd/system; : >/etc/systemd/system/x.service`),
	"boot_script_written":                   onHost(`mkdir /etc/init.d; : >/etc/init.d/x`),
	"shell_startup_file_written":            onHost(`: >>/root/.profile`),
	"preload_file_written":                  inContainer(`: >/etc/ld.so.preload`),
	"linker_configuration_written":          onHost(`: >/etc/ld.so.conf`),
	"package_source_changed":                inContainer(`mkdir /etc/apt; : >/etc/apt/sources.list`),
	"persistence_file_written_in_container": inContainer(`: >/etc/cron.d/x`),
}
