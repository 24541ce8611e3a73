// Package bpf holds the sensor's kernel programs, compiled and committed, so that
// building Eunomia needs no C compiler. Package probes loads them.
//
// One family of events is one <family>.bpf.c. To add a family, write that file
// with its record in include/record.h, add its line here, run `make generate`
// (clang and llvm from Debian), and list it in probes/families.go.
package bpf

//go:generate sh generate.sh Process process -type record_header -type record_exec -type record_fork -type record_exit -type file_facts -type namespaces -type stream -type stream_type -type ledger -type loss_reason -type record_kind -type record_flag -type path_flag -type file_flag -type syscall_abi
//go:generate sh generate.sh Cgroup cgroup -type record_cgroup
//go:generate sh generate.sh Syscalls syscalls -type syscall_totals -type cgroup_totals -type syscall_class -type cgroup_counter
//go:generate sh generate.sh File file -type record_open
//go:generate sh generate.sh Network network -type record_network
