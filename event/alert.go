package event

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SchemaVersion is the version of the alert and event documents. It changes when
// a consumer that reads the old one could break.
const SchemaVersion = "1.0"

// ECSVersion is the version of the Elastic Common Schema whose names are used.
const ECSVersion = "8.17.0"

// Severity is how much a match matters.
type Severity uint8

// The severities, lowest first; the numbers are those of the documents.
const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return nameOf(severityNames[:], int(s)) }

// ParseSeverity returns the severity called name.
func ParseSeverity(name string) (Severity, error) {
	if i := slices.Index(severityNames[1:], name); i >= 0 {
		return Severity(i + 1), nil
	}
	return 0, fmt.Errorf("%q is not a severity: want one of %s", name, strings.Join(severityNames[1:], ", "))
}

// UnmarshalText parses a severity's name, for configuration files.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// MarshalText returns the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// RuleInfo is what an alert says of the rule that raised it.
type RuleInfo struct {
	ID, Title, Description string
	Version                string // hash of the rule's definition
	Severity               Severity
	Attack                 []string // MITRE ATT&CK technique ids, e.g. T1059.004
	Tags                   []string
}

// Alert is a match on its way to the outputs. Immutable.
type Alert struct {
	ID        string // unique, made at detection: UUID version 7
	Time      int64  // the event's time, Unix ns
	Node      string
	Rule      RuleInfo
	Message   string
	Kind      Kind
	Container string // container name or short id, "" on the host
	Document  []byte // the whole alert as one line of JSON, without a newline
}

// Context is what an alert tells beyond its event.
type Context struct {
	Lost    uint64 // events that the sensor had lost when the alert was raised
	Version string // of the detector
	// Decided is empty when every field that mattered was known; else what the
	// verdict was based on, e.g. "container metadata did not arrive in time".
	Decided string
	// Suppressed counts the matches that the rule's throttle withheld since its last alert.
	Suppressed uint64
}

// NewAlert raises an alert: rule matched e. It keeps no reference to e.
func NewAlert(e *Event, rule RuleInfo, message string, c Context) *Alert {
	a := &Alert{ID: NewID(time.Now()), Time: e.Time, Node: strings.Clone(e.Host.Name), Rule: rule, Message: message, Kind: e.Kind}
	if e.Container != nil && e.Container.ID != "" {
		a.Container = e.Container.Name
		if a.Container == "" {
			a.Container = e.Container.ID[:min(12, len(e.Container.ID))]
		}
	}
	str := func(s string) []byte { return AppendString(nil, s) }
	extra := append(documentHead(e, "alert"),
		rawMember{[]string{"event", "id"}, str(a.ID)},
		rawMember{[]string{"event", "severity"}, strconv.AppendInt(nil, int64(rule.Severity), 10)},
		rawMember{[]string{"agent", "version"}, str(c.Version)},
		rawMember{[]string{"eunomia", "lost_events"}, strconv.AppendUint(nil, c.Lost, 10)},
		rawMember{[]string{"message"}, str(message)},
		rawMember{[]string{"rule", "id"}, str(rule.ID)},
		rawMember{[]string{"rule", "name"}, str(rule.Title)},
		rawMember{[]string{"rule", "version"}, str(rule.Version)},
		rawMember{[]string{"severity"}, str(rule.Severity.String())},
	)
	if rule.Description != "" {
		extra = append(extra, rawMember{[]string{"rule", "description"}, str(rule.Description)})
	}
	if len(rule.Attack) > 0 {
		extra = append(extra,
			rawMember{[]string{"threat", "framework"}, str("MITRE ATT&CK")},
			rawMember{[]string{"threat", "technique", "id"}, appendStrings(nil, rule.Attack)})
	}
	if len(rule.Tags) > 0 {
		extra = append(extra, rawMember{[]string{"tags"}, appendStrings(nil, rule.Tags)})
	}
	if c.Suppressed > 0 {
		extra = append(extra, rawMember{[]string{"eunomia", "suppressed"}, strconv.AppendUint(nil, c.Suppressed, 10)})
	}
	if c.Decided != "" {
		extra = append(extra, rawMember{[]string{"eunomia", "decided"}, str(c.Decided)})
	}
	a.Document = finish(e, extra)
	return a
}

// AppendDocument appends the event itself as one line of JSON, as it goes to
// eunomia.events subjects and `eunomia run --output json`.
func (e *Event) AppendDocument(dst []byte) []byte {
	return append(dst, finish(e, documentHead(e, "event"))...)
}

func documentHead(e *Event, ecsKind string) []rawMember {
	info := e.Kind.Info()
	extra := []rawMember{
		{[]string{"agent", "type"}, []byte(`"eunomia"`)},
		{[]string{"ecs", "version"}, []byte(`"` + ECSVersion + `"`)},
		{[]string{"event", "category"}, appendStrings(nil, info.Category)},
		{[]string{"event", "kind"}, []byte(`"` + ecsKind + `"`)},
		{[]string{"event", "type"}, appendStrings(nil, info.Type)},
		{[]string{"eunomia", "schema_version"}, []byte(`"` + SchemaVersion + `"`)},
	}
	if e.Container != nil && e.Container.ID != "" {
		extra = append(extra, rawMember{[]string{"eunomia", "container_metadata"}, AppendString(nil, e.Container.State.String())})
	}
	return extra
}

func finish(e *Event, extra []rawMember) []byte {
	slices.SortFunc(extra, func(a, b rawMember) int { return slices.Compare(a.path, b.path) })
	dst := append(make([]byte, 0, 2048), '{')
	dst = appendFields(dst, e, extra)
	return append(dst, '}')
}

// NewID returns a UUID version 7 (RFC 9562): sorted by time, unguessable.
func NewID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand documents that it panics instead
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
