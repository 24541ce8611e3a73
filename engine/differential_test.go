package engine

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"eunomia/event"
	"eunomia/rules"
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

// TestTheIndexLeavesOutNoRule compares what an engine says of an event with what
// each of its rules says alone: a rule that the index rules out must be false.
func TestTheIndexLeavesOutNoRule(t *testing.T) {
	kinds := event.AllKinds.Kinds()
	outcomes := map[Outcome]int{}
	ruledOut := 0
	for run := range differentialRuns(t) / 100 {
		g := &generator{Rand: rand.New(rand.NewPCG(7, uint64(run)))}
		g.kind = kinds[g.IntN(len(kinds))]
		// Few clauses for many rules, so that they share them.
		clauses := make([]string, 12)
		for i := range clauses {
			clauses[i] = g.truth(g.IntN(3))
		}
		set := &rules.Set{}
		for i := range 80 {
			condition := "(" + g.pick(clauses...) + ") && (" + g.pick(clauses...) + ")"
			if g.IntN(2) == 0 {
				condition += " && (" + g.pick(clauses...) + ")"
			}
			set.Rules = append(set.Rules, &rules.Rule{ID: fmt.Sprint("r", i), Enabled: true, On: []event.Kind{g.kind}, Condition: rules.Expr{Text: condition}})
		}
		p, _ := Compile(set, Limits{Cost: 1 << 40})
		x := New(p)
		b := &x.current.Load().groups[g.kind]
		for range 20 {
			e := g.event()
			matches, pending := x.Evaluate(e)
			got := map[string]Outcome{}
			for _, m := range matches {
				got[m.Rule.Info.ID] = Matched
			}
			for _, en := range pending.entries {
				got[en.rule.Info.ID] = Undecided
			}
			in := newInput()
			in.reset(e, false)
			for _, set := range b.candidates(in, nil) {
				ruledOut -= bits.OnesCount64(set)
			}
			ruledOut += len(b.entries)
			for i := range b.entries {
				want, _ := b.entries[i].plan.decide(in)
				outcomes[want]++
				if want == Failed {
					want = NoMatch // counted, not returned
				}
				if id := b.entries[i].rule.Info.ID; got[id] != want {
					t.Fatalf("run %d: %s\nalone %v, in the engine %v\nevent %s", run, b.entries[i].rule.Source.Condition.Text, want, got[id], e.AppendDocument(nil))
				}
			}
		}
	}
	t.Logf("outcomes %v, ruled out by the index %d", outcomes, ruledOut)
	if outcomes[Matched] == 0 || outcomes[Undecided] == 0 || outcomes[Failed] == 0 || ruledOut == 0 {
		t.Error("the generator has lost its bite")
	}
}
