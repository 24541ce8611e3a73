package enrich

import (
	"strings"
	"testing"
)

const (
	idA = "4f1c6b5a0d3e2f1a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f60"
	idB = "b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184"
	uid = "0f3c2d1e-9a8b-4c7d-8e6f-1a2b3c4d5e6f"
)

var uidSystemd = strings.ReplaceAll(uid, "-", "_")

func TestParseCgroup(t *testing.T) {
	tests := []struct {
		name, path string
		want       CgroupRef
	}{
		{"host root", "/", CgroupRef{}},
		{"empty", "", CgroupRef{}},
		{"host service", "/system.slice/ssh.service", CgroupRef{}},
		{"host login session", "/user.slice/user-1000.slice/session-3.scope", CgroupRef{}},
		{"the docker daemon itself", "/system.slice/docker.service", CgroupRef{}},
		{"docker's parent group", "/docker", CgroupRef{}},
		{"a bare 32-digit name is not a container", "/process_api/e189fa48329bbcb8c246a271c87b0ce8", CgroupRef{}},
		{"docker, cgroupfs driver", "/docker/" + idA, CgroupRef{ID: idA, Runtime: "docker"}},
		{"docker, systemd driver", "/system.slice/docker-" + idA + ".scope", CgroupRef{ID: idA, Runtime: "docker"}},
		{"docker with its own cgroup parent", "/batch/" + idA, CgroupRef{ID: idA}},
		{"docker running systemd", "/docker/" + idA + "/system.slice/nginx.service", CgroupRef{ID: idA, Runtime: "docker"}},
		{"seen from a cgroup namespace", "/../" + idA, CgroupRef{ID: idA}},
		{"rootless docker", "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-" + idA + ".scope",
			CgroupRef{ID: idA, Runtime: "docker", Within: "user@1000.service"}},
		{"containerd, systemd driver", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSystemd + ".slice/cri-containerd-" + idA + ".scope",
			CgroupRef{ID: idA, Runtime: "containerd", PodUID: uid}},
		{"containerd, guaranteed pod", "/kubepods.slice/kubepods-pod" + uidSystemd + ".slice/cri-containerd-" + idA + ".scope",
			CgroupRef{ID: idA, Runtime: "containerd", PodUID: uid}},
		{"kubernetes, cgroupfs driver", "/kubepods/besteffort/pod" + uid + "/" + idA, CgroupRef{ID: idA, PodUID: uid}},
		{"kubernetes, cgroupfs driver, guaranteed", "/kubepods/pod" + uid + "/" + idA, CgroupRef{ID: idA, PodUID: uid}},
		{"static pod", "/kubepods/burstable/pod4b0a1f2e3d4c5b6a79880716253443a1/" + idA, CgroupRef{ID: idA, PodUID: "4b0a1f2e3d4c5b6a79880716253443a1"}},
		{"the pod's own group", "/kubepods/besteffort/pod" + uid, CgroupRef{}},
		{"kubelet systemd, containerd cgroupfs", "/system.slice/containerd.service/kubepods-burstable-pod" + uidSystemd + ".slice:cri-containerd:" + idA,
			CgroupRef{ID: idA, Runtime: "containerd", PodUID: uid}},
		{"cri-dockerd", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uidSystemd + ".slice/docker-" + idA + ".scope",
			CgroupRef{ID: idA, Runtime: "docker", PodUID: uid}},
		{"containerd by ctr", "/default/" + idA, CgroupRef{ID: idA, Runtime: "containerd"}},
		{"nerdctl", "/system.slice/nerdctl-" + idA + ".scope", CgroupRef{ID: idA, Runtime: "containerd"}},
		{"cri-o", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSystemd + ".slice/crio-" + idA + ".scope",
			CgroupRef{ID: idA, Runtime: "cri-o", PodUID: uid}},
		{"cri-o with crun's child group", "/kubepods.slice/kubepods-pod" + uidSystemd + ".slice/crio-" + idA + ".scope/container",
			CgroupRef{ID: idA, Runtime: "cri-o", PodUID: uid}},
		{"cri-o, cgroupfs driver", "/kubepods/burstable/pod" + uid + "/crio-" + idA, CgroupRef{ID: idA, Runtime: "cri-o", PodUID: uid}},
		{"cri-o's monitor", "/kubepods.slice/kubepods-pod" + uidSystemd + ".slice/crio-conmon-" + idA + ".scope", CgroupRef{}},
		{"podman, systemd driver", "/machine.slice/libpod-" + idA + ".scope/container", CgroupRef{ID: idA, Runtime: "podman"}},
		{"podman, cgroupfs driver", "/libpod_parent/libpod-" + idA, CgroupRef{ID: idA, Runtime: "podman"}},
		{"podman's pod", "/libpod_parent/" + idB, CgroupRef{}},
		{"podman in its pod", "/libpod_parent/" + idB + "/libpod-" + idA, CgroupRef{ID: idA, Runtime: "podman"}},
		{"podman in a systemd pod", "/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope", CgroupRef{ID: idA, Runtime: "podman"}},
		{"podman's monitor", "/machine.slice/libpod-conmon-" + idA + ".scope", CgroupRef{}},
		{"rootless podman", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container",
			CgroupRef{ID: idA, Runtime: "podman", Within: "user@1000.service"}},
		{"buildkit in dockerd", "/docker/buildkit/6ahbjrmdv8mlmuba2ai6k0zz1", CgroupRef{ID: "6ahbjrmdv8mlmuba2ai6k0zz1", Runtime: "buildkit"}},
		{"GitHub actions job", "/actions_job/" + idA, CgroupRef{ID: idA, Runtime: "docker"}},
		{"ECS on EC2", "/ecs/0123456789abcdef0123456789abcdef/" + idA, CgroupRef{ID: idA}},
		{"ECS on Fargate", "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890",
			CgroupRef{ID: "0123456789abcdef0123456789abcdef-1234567890", Runtime: "ecs"}},
		{"garden", "/garden/6e3b7b1c-2f54-4c3d-6a5b-1d2c", CgroupRef{ID: "6e3b7b1c-2f54-4c3d-6a5b-1d2c", Runtime: "garden"}},
		{"LXC 4", "/lxc.payload.web01/system.slice/cron.service", CgroupRef{ID: "web01", Runtime: "lxc"}},
		{"LXC 2", "/lxc/web01", CgroupRef{ID: "web01", Runtime: "lxc"}},
		{"LXC's monitor", "/lxc.monitor.web01", CgroupRef{}},
		{"nspawn service", "/machine.slice/systemd-nspawn@build.service/payload", CgroupRef{ID: "build", Runtime: "systemd-nspawn"}},
		{"nspawn scope", "/machine.slice/machine-build.scope", CgroupRef{ID: "build", Runtime: "systemd-nspawn"}},
		{"a virtual machine", `/machine.slice/machine-qemu\x2d1\x2dvm.scope`, CgroupRef{}},
		{"kata's overhead group", "/kata_overhead/" + idA, CgroupRef{}},
		{"docker in docker: the innermost, made by the outer", "/docker/" + idA + "/docker/" + idB,
			CgroupRef{ID: idB, Runtime: "docker", Within: idA}},
		{"kind: a pod inside a docker container", "/docker/" + idA + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + uidSystemd + ".slice/cri-containerd-" + idB + ".scope",
			CgroupRef{ID: idB, Runtime: "containerd", PodUID: uid, Within: idA}},
		{"a 63-digit id", "/docker/" + idA[1:], CgroupRef{}},
		{"upper case is not an id", "/docker/" + strings.ToUpper(idA), CgroupRef{}},
		{"doubled slashes", "//docker///" + idA + "//", CgroupRef{ID: idA, Runtime: "docker"}},
		{"a pod uid of rubbish", "/kubepods/podxxxxxxxx-9a8b-4c7d-8e6f-1a2b3c4d5e6f/" + idA, CgroupRef{ID: idA}},
		{"control characters in a name", "/lxc/\x1b[31m\n", CgroupRef{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ParseCgroup(test.path); got != test.want {
				t.Errorf("ParseCgroup(%q)\n got %+v\nwant %+v", test.path, got, test.want)
			}
		})
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add("/docker/" + idA)
	f.Add("/kubepods.slice/kubepods-pod" + uidSystemd + ".slice/crio-" + idA + ".scope")
	f.Add("/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1")
	f.Add("/x:y:" + idA)
	f.Add(strings.Repeat("/docker/"+idA+"/docker/"+idB, 40))
	f.Fuzz(func(t *testing.T, path string) {
		r := ParseCgroup(path)
		if r.ID == "" {
			if r != (CgroupRef{}) {
				t.Fatalf("no container, and yet %+v", r)
			}
			return
		}
		if !isName(r.ID) || len(r.ID) > 64 || !strings.Contains(path, r.ID) {
			t.Fatalf("%q gave the id %q", path, r.ID)
		}
		if len(r.PodUID) != 0 && len(r.PodUID) != 32 && len(r.PodUID) != 36 {
			t.Fatalf("%q gave the pod %q", path, r.PodUID)
		}
		if len(r.key()) > 400 {
			t.Fatalf("%q gave a key of %d bytes", path, len(r.key()))
		}
	})
}
