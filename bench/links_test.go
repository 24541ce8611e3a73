package main

import (
	"maps"
	"os"
	"slices"
	"testing"

	"eunomia/internal/testutil"
)

func TestOthersTracersAreToldFromOnesOwn(t *testing.T) {
	testutil.Require(t, "bpf")
	names := func(own ...int) []string {
		t.Helper()
		found, err := foreignLinks(own)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Collect(maps.Values(found))
	}
	detach, err := attachFloor()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(names(), "bench_floor") {
		t.Error("an attached program is not seen")
	}
	if slices.Contains(names(os.Getpid()), "bench_floor") {
		t.Error("this process's own program counts as another's")
	}
	if err := detach(); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(names(), "bench_floor") {
		t.Error("a program that was detached is still seen")
	}
}
