package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"eunomia/engine"
	"eunomia/rules"

	"github.com/fsnotify/fsnotify"
)

// settle is how long rule files must be left alone before they are read: editors
// and package managers write in several steps.
const settle = 250 * time.Millisecond

// longestSettle bounds how long a directory in which something always changes can put
// that off.
const longestSettle = 2 * time.Second

// reloads remembers how the last load of the rules went.
type reloads struct {
	good, bad atomic.Uint64

	mu       sync.Mutex
	hash     string
	mistakes int    // in the last files that were read, whether they run or not
	refused  string // what was wrong with them, when they were refused
}

func (r *reloads) record(p *engine.Program, mistakes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hash, r.mistakes, r.refused = p.Hash, mistakes, ""
}

// refuse records that rules with these mistakes do not run; false when that was so
// already: a change beside the rule files is no reason to say it again.
func (r *reloads) refuse(p *engine.Program, diagnostics []rules.Diagnostic, mistakes int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := fmt.Sprintln(p.Hash, diagnostics)
	first := r.refused != key
	r.refused, r.mistakes = key, max(mistakes, 1)
	return first
}

func (r *reloads) state() (hash string, mistakes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hash, r.mistakes
}

// watchRules reloads the rules on SIGHUP and when a file changes, until ctx ends.
func (s *server) watchRules(ctx context.Context) error {
	var changes <-chan fsnotify.Event // nil, and so silent, when files cannot be watched
	var troubles <-chan error
	watch := func() {}
	if watcher, err := fsnotify.NewWatcher(); err != nil {
		s.logger.Warn("rule files are not watched; SIGHUP still reloads them", "error", err)
	} else {
		defer watcher.Close()
		changes, troubles = watcher.Events, watcher.Errors
		watch = func() { s.watchPaths(watcher) }
	}
	watch()
	due := time.After(settle) // for what has changed since the rules were loaded
	since := time.Now()       // when the first change was seen that has not been looked at
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hangup:
			s.reload("SIGHUP")
			watch()
		case <-changes:
			if due == nil {
				since = time.Now()
			}
			due = time.After(min(settle, longestSettle-time.Since(since)))
		case err := <-troubles:
			s.logger.Warn("a change of rule files may have been missed; SIGHUP reloads them", "error", err)
			due = time.After(settle)
		case <-due:
			due = nil
			s.reload("file change")
			watch()
		}
	}
}

// watchPaths watches the directories of all rule files: a file that is replaced by
// renaming, and a symbolic link that is turned over, show in its directory only.
func (s *server) watchPaths(w *fsnotify.Watcher) {
	for _, path := range s.sources.paths {
		dirs := []string{path}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			dirs = []string{filepath.Dir(path)}
		}
		if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
			dirs = append(dirs, filepath.Dir(target))
		}
		for _, dir := range dirs {
			if err := w.Add(dir); err != nil {
				s.logger.Warn("rule files are not watched; SIGHUP reloads them", "dir", dir, "error", err)
			}
		}
	}
}

// reload compiles the rules aside and swaps them in between two events; rules with
// mistakes leave the running ones as they are.
func (s *server) reload(cause string) {
	_, program, diagnostics := s.sources.load()
	hash, before := s.reloads.state()
	mistakes := broken(diagnostics)
	if program.Hash == hash && mistakes == before && cause != "SIGHUP" {
		return
	}
	if mistakes > 0 || len(infos(program)) == 0 {
		if !s.reloads.refuse(program, diagnostics, mistakes) && cause != "SIGHUP" {
			return
		}
		s.reloads.bad.Add(1)
		if err := rules.Print(s.env.stderr, diagnostics); err != nil {
			s.logger.Warn("the mistakes could not be shown", "error", err)
		}
		if mistakes == 0 {
			s.logger.Error("the new files hold no rule that is enabled: the old ones go on", "cause", cause)
			return
		}
		s.logger.Error("the new rules have mistakes: the old ones go on", "cause", cause, "mistakes", mistakes,
			"hint", `"eunomia rules check" names every mistake`)
		return
	}
	s.outputs.SetRules(infos(program))
	s.detector.engine.Swap(program)
	s.reloads.record(program, 0)
	s.reloads.good.Add(1)
	returnGarbage()
	s.logger.Info("rules reloaded", "cause", cause, "rules", len(infos(program)), "hash", program.Hash)
}
