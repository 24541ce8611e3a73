package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestALogThatNobodyReadsBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := newSteadyLog(w)
		for i := range 2 * maxLogLines {
			fmt.Fprintln(l, i)
		}
		l.close() // gives up
		r.Close()
	})
}

func TestALogSaysWhatItLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := newSteadyLog(w)
		fmt.Fprintln(l, "first")
		synctest.Wait()
		for range maxLogLines + 3 {
			fmt.Fprintln(l, "more")
		}
		var got strings.Builder
		go func() {
			lines := bufio.NewScanner(r)
			for lines.Scan() {
				got.WriteString(lines.Text() + "\n")
			}
		}()
		l.close()
		w.Close()
		synctest.Wait()
		if s := got.String(); strings.Count(s, "more") != maxLogLines || !strings.Contains(s, "warning: 3 lines") {
			t.Errorf("%d lines, and: %.200s", strings.Count(s, "more"), s)
		}
	})
}

func TestALogIsCompleteWhenItIsClosed(t *testing.T) {
	var to bytes.Buffer
	l := newSteadyLog(&to)
	fmt.Fprintln(l, "one")
	fmt.Fprintln(l, "two")
	l.close()
	fmt.Fprintln(l, "too late")
	if to.String() != "one\ntwo\n" {
		t.Errorf("%q", to.String())
	}
}
