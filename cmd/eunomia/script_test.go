package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"eunomia/internal/testutil"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestMain makes this binary the program: scripts call it as eunomia.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"eunomia": func() { os.Exit(run(systemEnv(), os.Args[1:])) },
	})
}

// TestScript runs the specification of the command line: one behaviour for each
// file of testdata/script. Beside testscript's own commands there are
//
//	exits N PROGRAM [ARG…]     run a program, which must end with status N
//	nobody N PROGRAM [ARG…]    the same without any privilege
//	needs bpf                  skip the script where the sensor cannot run
//	start PROGRAM [ARG…]       start a program that goes on
//	server [ARG…]              start a detector with free ports, and wait until events flow
//	await out|log PATTERN [PROGRAM…]   wait for output or log lines, running a program meanwhile
//	await page PATH PATTERN [PROGRAM…] wait for what the detector's HTTP server says
//	page PATH                  make that the script's stdout
//	signal NAME                send a signal
//	ends N                     wait for the end; its output becomes stdout and stderr
//
// With EUNOMIA_UPDATE=1 the files that cmp compares are rewritten.
//
// A program "read FILE" is the test process itself, whose pid is $TEST_PID. Somebody
// else listens on the address $TAKEN, which ends in :$TAKEN_PORT.
func TestScript(t *testing.T) {
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("EUNOMIA_UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Values[keyTB{}] = e.T().(testing.TB)
			e.Setenv("DOCS", docs)
			e.Setenv("TEST_PID", strconv.Itoa(os.Getpid()))
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { taken.Close() })
			e.Setenv("TAKEN", taken.Addr().String())
			e.Setenv("TAKEN_PORT", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  scriptExits,
			"nobody": scriptNobody,
			"needs":  scriptNeeds,
			"start":  scriptStart,
			"server": scriptServer,
			"await":  scriptAwait,
			"page":   scriptPage,
			"signal": scriptSignal,
			"ends":   scriptEnds,
		},
	})
}

// keyTB is the key of the test that runs a script.
type keyTB struct{}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N PROGRAM [ARG…]")
	}
	checkStatus(ts, args[0], ts.Exec(args[1], args[2:]...))
}

func checkStatus(ts *testscript.TestScript, want string, err error) {
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("ended with status %d, want %s", got, want)
	}
}

func scriptNobody(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: nobody N PROGRAM [ARG…]")
	}
	testutil.Require(ts.Value(keyTB{}).(testing.TB), "root") // to become nobody
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	if args[1] == "eunomia" {
		ts.Check(os.Chmod(filepath.Dir(filepath.Dir(path)), 0o711)) // testscript's private directory
	}
	c := exec.Command(path, args[2:]...)
	c.Dir = "/"
	c.Stdout, c.Stderr = ts.Stdout(), ts.Stderr()
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	checkStatus(ts, args[0], c.Run())
}

// oneSensor lets one script at a time load the kernel with probes.
var oneSensor sync.Mutex

func scriptNeeds(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: needs REQUIREMENT…")
	}
	testutil.Require(ts.Value(keyTB{}).(testing.TB), args...)
	if slices.Contains(args, "bpf") {
		oneSensor.Lock()
		ts.Defer(oneSensor.Unlock)
	}
}

// program is what a script has started.
type program struct {
	cmd      *exec.Cmd
	out, log lockedBuffer
	ended    chan struct{}
	err      error
}

// lockedBuffer is written by the program and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startProgram starts a program; stop must be called.
func startProgram(dir string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

var announced = regexp.MustCompile(`http=(http://\S+)`)

// page asks the detector's HTTP server.
func (p *program) page(path string) (string, error) {
	m := announced.FindStringSubmatch(p.log.String())
	if m == nil {
		return "", errors.New("no HTTP address was announced")
	}
	reply, err := http.Get(m[1] + path)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	return string(body), err
}

// scriptPatience is how long a script waits for what must happen.
const scriptPatience = 20 * time.Second

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: start PROGRAM [ARG…]")
	}
	if _, busy := programs.Load(ts); busy {
		ts.Fatalf("a script starts one program")
	}
	p, err := startProgram(ts.MkAbs("."), args...)
	ts.Check(err)
	ts.Defer(p.stop)
	ts.Defer(func() { ts.Logf("[out of %s]\n%s[log]\n%s", args[0], p.out.String(), p.log.String()) })
	programs.Store(ts, p)
	ts.Defer(func() { programs.Delete(ts) })
}

// programs holds what each script has started.
var programs sync.Map // *testscript.TestScript → *program

func started(ts *testscript.TestScript) *program {
	p, ok := programs.Load(ts)
	if !ok {
		ts.Fatalf("nothing was started")
	}
	return p.(*program)
}

func scriptServer(ts *testscript.TestScript, neg bool, args []string) {
	full := append([]string{"eunomia", "server", "--listen", "127.0.0.1:0", "--state-dir", ts.MkAbs("state")}, args...)
	if !slices.Contains(args, "--config") {
		ts.Check(os.WriteFile(ts.MkAbs("free-port.toml"), []byte("[outputs.nats.embedded]\nport = -1\n"), 0o600))
		full = append(full, "--config", "free-port.toml")
	}
	scriptStart(ts, neg, full)
	p := started(ts)
	eventually(ts, "events flow", func() bool {
		if !p.running() {
			ts.Fatalf("the detector ended: %v", p.err)
		}
		return strings.Contains(p.log.String(), "events flow")
	})
}

func eventually(ts *testscript.TestScript, what string, cond func() bool) {
	deadline := time.Now().Add(scriptPatience)
	for pause := time.Millisecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s: not within %s", what, scriptPatience)
		}
		time.Sleep(pause)
	}
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	usage := func() { ts.Fatalf("usage: await out|log PATTERN [PROGRAM…], await page PATH PATTERN [PROGRAM…]") }
	if neg || len(args) < 2 {
		usage()
	}
	p := started(ts)
	var look func() string
	rest := args[1:]
	switch args[0] {
	case "out":
		look = p.out.String
	case "log":
		look = p.log.String
	case "page":
		path := args[1]
		rest = args[2:]
		look = func() string {
			body, err := p.page(path)
			if err != nil {
				return ""
			}
			return body
		}
	default:
		usage()
	}
	pattern, err := regexp.Compile("(?m)" + rest[0])
	ts.Check(err)
	eventually(ts, strings.Join(args, " "), func() bool {
		act(ts, rest[1:])
		return pattern.MatchString(look())
	})
}

// act runs a program that may fail.
func act(ts *testscript.TestScript, args []string) {
	switch {
	case len(args) == 0:
	case args[0] == "read":
		_, _ = os.ReadFile(ts.MkAbs(args[1]))
	default:
		c := exec.Command(args[0], args[1:]...)
		c.Dir = ts.MkAbs(".")
		var exit *exec.ExitError
		if output, err := c.CombinedOutput(); err != nil && !errors.As(err, &exit) {
			ts.Fatalf("%s: %v\n%s", args[0], err, output)
		}
	}
}

func scriptPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: page PATH")
	}
	body, err := started(ts).page(args[0])
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), body)
}

func scriptSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal NAME")
	}
	ts.Check(started(ts).cmd.Process.Signal(unix.SignalNum("SIG" + args[0])))
}

func scriptEnds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ends N")
	}
	p := started(ts)
	select {
	case <-p.ended:
	case <-time.After(scriptPatience):
		ts.Fatalf("it goes on")
	}
	fmt.Fprint(ts.Stdout(), p.out.String())
	fmt.Fprint(ts.Stderr(), p.log.String())
	checkStatus(ts, args[0], p.err)
}
