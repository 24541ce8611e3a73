package rules_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eunomia/rules"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDirectoriesAreReadByNameAfterTheBuiltInSources(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/b.yml", "lists: {l: {append: [b]}}")
	write(t, dir+"/a.yaml", "lists: {l: {append: [a]}}")
	write(t, dir+"/.hidden.yaml", "not: loaded")
	write(t, dir+"/notes.txt", "not: loaded")
	write(t, dir+"/sub.yaml/x.yaml", "not: loaded")
	write(t, dir+"/..data/c.yaml", "lists: {l: {append: [c]}}")
	if err := os.Symlink("..data/c.yaml", dir+"/c.yaml"); err != nil {
		t.Fatal(err)
	}
	set, diagnostics := rules.Load([]string{dir, dir + "/a.yaml"}, rules.Options{
		Before: []rules.Source{{Name: "default_rules.yaml", Data: []byte("lists: {l: [z]}")}}})
	if len(diagnostics) > 0 || !slices.Equal(set.Lists["l"], []string{"z", "a", "b", "c"}) {
		t.Errorf("have %v, %v", set.Lists, diagnostics)
	}
	want := []string{"default_rules.yaml", dir + "/a.yaml", dir + "/b.yml", dir + "/c.yaml"}
	if !slices.Equal(set.Files, want) {
		t.Errorf("read %v, want %v", set.Files, want)
	}
}

func TestWhatCannotBeReadIsReportedAndTheRestIsLoaded(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir+"/good.yaml", "lists: {l: [z]}")
	if err := os.Symlink("nowhere", dir+"/dangling.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.DevNull, dir+"/device.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/empty", 0o755); err != nil {
		t.Fatal(err)
	}
	large := write(t, dir+"/large/large.yaml", strings.Repeat("# filler\n", 1<<20))
	set, diagnostics := rules.Load([]string{dir + "/missing.yaml", dir, dir + "/empty", large}, rules.Options{})
	if len(set.Lists) != 1 || !slices.Contains(set.Files, good) {
		t.Errorf("have %v of %v", set.Lists, set.Files)
	}
	var have []string
	for _, d := range diagnostics {
		have = append(have, strings.TrimPrefix(d.String(), dir))
	}
	want := []string{
		"/dangling.yaml: error: cannot be read: no such file or directory [file]",
		"/device.yaml: error: cannot be read: not a regular file [file]",
		"/empty: warning: the directory holds no *.yaml or *.yml file [empty]",
		"/large/large.yaml:1:1: error: the file is larger than 8 MiB [file]",
		"/missing.yaml: error: cannot be read: no such file or directory [file]",
	}
	if !slices.Equal(have, want) {
		t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}
