package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"eunomia/event"
)

// differentialRuns is how many generated expressions are compared; EUNOMIA_DIFF
// asks for more.
func differentialRuns(t *testing.T) int {
	if s := os.Getenv("EUNOMIA_DIFF"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 500
	}
	return 6000
}

type verdict struct {
	truth  truth
	missed string
	failed bool
}

func judge(p predicate, e *event.Event, final bool) verdict {
	in := newInput()
	in.reset(e, final)
	v := verdict{truth: p.test(in)}
	v.failed = in.err != nil
	slices.Sort(in.missed)
	v.missed = fmt.Sprint(in.missed)
	return v
}

func TestCompiledConditionsAgreeWithCEL(t *testing.T) {
	var seed uint64 = 1
	if s := os.Getenv("EUNOMIA_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	kinds := event.AllKinds.Kinds()
	outcomes := map[truth]int{}
	compiled, slow, refused := 0, 0, 0
	for i := range differentialRuns(t) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		g.kind = kinds[g.IntN(len(kinds))]
		text := g.truth(2 + g.IntN(4))
		c, problems := check(text, scope{on: []event.Kind{g.kind}, maxCost: 1 << 40})
		if c == nil {
			refused++
			if refused > 20+i/2 {
				t.Fatalf("the generator makes too much that is refused: %s: %v", text, problems)
			}
			continue
		}
		whole, err := planProgram(c.forKind(g.kind))
		p, left, err2 := compileCondition(c.forKind(g.kind))
		if err != nil || err2 != nil {
			refused++
			continue
		}
		compiled++
		slow += left
		for range 12 {
			e := g.event()
			for _, final := range []bool{false, true} {
				want, got := judge(celProgram{whole}, e, final), judge(p, e, final)
				outcomes[want.truth]++
				if got != want {
					t.Fatalf("seed %d, run %d, final %t:\n%s\nCEL says %+v, compiled %+v\nevent %s", seed, i, final, text, want, got, e.AppendDocument(nil))
				}
			}
		}
	}
	t.Logf("%d expressions, %d refused, %d parts left to cel-go, outcomes %v", compiled, refused, slow, outcomes)
	for _, o := range []truth{isTrue, isFalse, isUnknown, isError} {
		if outcomes[o] == 0 {
			t.Errorf("no evaluation ended as %v: the generator has lost its bite", o)
		}
	}
}

func TestACompiledConditionDoesNotAllocateOnAMiss(t *testing.T) {
	for _, text := range []string{
		`file.flags.write && file.path.startsWith("/etc/") && !(process.name in ["dpkg", "apt"])`,
		`process.ancestors.exists(a, a.name == "nginx" && a.args.exists(x, x == "-c")) || file.name.glob("*.so")`,
		`container.id != "" && container.image.name.lowerAscii().matches("^evil")`,
	} {
		c, problems := check(text, scope{on: []event.Kind{event.Open}, maxCost: 1 << 40})
		if c == nil {
			t.Fatal(problems)
		}
		p, slow, err := compileCondition(c.forKind(event.Open))
		if err != nil || slow != 0 {
			t.Fatalf("%s: %d parts are left to cel-go, %v", text, slow, err)
		}
		e, errs := event.FromFields(map[string]any{"event.kind": "open", "file.path": "/etc/hosts", "file.flags.write": true, "process.name": "apt", "container.id": "4f1c",
			"container.image.name": "good", "process.ancestors": []any{map[string]any{"name": "nginx", "args": []any{"nginx", "-g"}}, map[string]any{"name": "init"}}})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		in := newInput()
		in.reset(e, false)
		if n := testing.AllocsPerRun(100, func() {
			if p.test(in) != isFalse {
				t.Fatal("it matches")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
