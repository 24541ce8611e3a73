package testutil

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// Image is the repository and tag of the image that BusyboxImage makes.
const Image = "eunomia-test/busybox:1"

// ImageLabel is a label of the image; its value is the digest of the root file system.
const ImageLabel = "eunomia-test.rootfs"

// BusyboxImage makes Image, if the daemon does not hold it yet, from this machine's static busybox: every applet at its
// usual place, the users root and app (uid 1000), and a shell command that sleeps until it is removed.
func BusyboxImage(t testing.TB) string {
	t.Helper()
	Require(t, "docker")
	if err := busyboxImage(); errors.Is(err, errNoBusybox) {
		Missing(t, "docker", err)
	} else if err != nil {
		t.Fatalf("make image %s: %v", Image, err)
	}
	return Image
}

var busyboxImage = sync.OnceValue(func() error {
	rootfs, err := busyboxRootfs()
	if err != nil {
		return err
	}
	docker, err := newDocker()
	if err != nil {
		return err
	}
	defer docker.Close()
	ctx := context.Background()
	digest := fmt.Sprintf("%x", sha256.Sum256(rootfs))
	if have, err := docker.ImageInspect(ctx, Image); err == nil && have.Config != nil && have.Config.Labels[ImageLabel] == digest {
		return nil
	}
	return importImage(ctx, docker, rootfs, digest)
})

func importImage(ctx context.Context, docker *client.Client, rootfs []byte, digest string) error {
	progress, err := docker.ImageImport(ctx,
		image.ImportSource{Source: bytes.NewReader(rootfs), SourceName: "-"}, Image,
		image.ImportOptions{Changes: []string{
			`CMD ["/bin/sleep", "infinity"]`,
			`ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
			`LABEL ` + ImageLabel + `=` + digest,
			`LABEL org.opencontainers.image.title=busybox`,
		}})
	if err != nil {
		return err
	}
	return drain(progress)
}

var errNoBusybox = errors.New("no static busybox on this machine; on Debian: apt-get install busybox-static")

// busyboxRootfs is the image's root file system as a tar archive, the same bytes for the same busybox.
func busyboxRootfs() ([]byte, error) {
	binary, err := staticBusybox()
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(binary, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("list busybox's applets: %w", err)
	}

	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		err = errors.Join(err, w.WriteHeader(&h))
		if _, werr := w.Write(content); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	for _, dir := range []string{"bin", "dev", "etc", "etc/cron.d", "home", "proc", "root", "run", "sbin", "sys", "usr",
		"usr/bin", "usr/local", "usr/local/bin", "usr/sbin", "var", "var/log"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeDir, Name: "home/app/", Mode: 0o755, Uid: 1000, Gid: 1000}, nil)
	for _, dir := range []string{"tmp", "var/tmp"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o1777}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644},
		[]byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\napp:x:1000:\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/shadow", Mode: 0o640}, []byte("root:*:19000:0:99999:7:::\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, content)
	for applet := range strings.FieldsSeq(string(applets)) {
		if path.Base(applet) != "busybox" {
			add(tar.Header{Typeflag: tar.TypeSymlink, Name: applet, Linkname: "/bin/busybox", Mode: 0o777}, nil)
		}
	}
	return archive.Bytes(), errors.Join(err, w.Close())
}

func staticBusybox() (string, error) {
	for _, name := range []string{"/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"} {
		f, err := elf.Open(name)
		if err != nil {
			continue
		}
		static := true
		for _, p := range f.Progs {
			static = static && p.Type != elf.PT_INTERP
		}
		f.Close()
		if static {
			return name, nil
		}
	}
	return "", errNoBusybox
}

// BusyboxRoot unpacks the root file system of BusyboxImage into a directory of the test, for programs that act on the
// host in a changed root.
func BusyboxRoot(t testing.TB) string {
	t.Helper()
	Require(t, "root")
	archive, err := busyboxRootfs()
	if errors.Is(err, errNoBusybox) {
		Missing(t, "docker", err)
	} else if err != nil {
		t.Fatalf("make root file system: %v", err)
	}
	dir := t.TempDir()
	unpack := exec.Command("tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(archive)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpack root file system: %v\n%s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
