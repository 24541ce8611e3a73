package rules

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// files returns the files that the paths stand for, each once.
func (l *loader) files(paths []string) []string {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			l.unreadable(p, err)
			continue
		}
		if !info.IsDir() {
			out = appendNew(out, filepath.Clean(p))
			continue
		}
		entries, err := os.ReadDir(p) // sorted by name
		if err != nil {
			l.unreadable(p, err)
			continue
		}
		found := false
		for _, e := range entries {
			ext := filepath.Ext(e.Name())
			name := filepath.Join(p, e.Name())
			if strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
				continue
			}
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				continue
			}
			found = true
			out = appendNew(out, name)
		}
		if !found {
			l.warn(place{&file{name: p}, 0}, "empty", "the directory holds no *.yaml or *.yml file", "")
		}
	}
	return out
}

func (l *loader) readPath(name string) {
	// A pipe would keep the detector waiting, a device never end.
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var data []byte
	if err == nil {
		data, err = readBounded(name)
	}
	if err != nil {
		l.unreadable(name, err)
		return
	}
	l.read(name, string(data))
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileSize+8)) // one BOM, and a byte too many
}

func (l *loader) unreadable(name string, err error) {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err, hint = errors.New("no such file or directory"), "check the path; a relative one starts at the working directory"
	case errors.Is(err, fs.ErrPermission):
		err, hint = errors.New("permission denied"), "make it readable for the user that runs eunomia"
	}
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	l.err(place{&file{name: name}, 0}, "file", "cannot be read: "+err.Error(), hint)
}
