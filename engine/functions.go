package engine

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Function is a function or macro that conditions may use.
type Function struct {
	Name     string
	Example  string
	Doc      string
	Constant bool // its pattern must be written out, so that it is checked when the rule is loaded
}

// functions is everything that may be called. A name that is missing here is
// refused, whatever CEL's libraries define.
var functions = []Function{
	{Name: "has", Example: `has(container.name)`, Doc: "The field is not empty, zero or false; for a label, it exists."},
	{Name: "exists", Example: `process.args.exists(a, a == "-i")`, Doc: "The test holds for an element of a list, or a key of a map."},
	{Name: "all", Example: `process.ancestors.all(a, a.user_id == 0)`, Doc: "The test holds for every element; true for none."},
	{Name: "exists_one", Example: `process.args.exists_one(a, a.startsWith("/"))`, Doc: "The test holds for exactly one element."},
	{Name: "filter", Example: `process.args.filter(a, a.startsWith("-"))`, Doc: "The elements for which the test holds."},
	{Name: "map", Example: `process.ancestors.map(a, a.name)`, Doc: "The list of what the expression gives for each element."},

	{Name: "size", Example: `size(process.args)`, Doc: "Characters of a string, elements of a list or map."},
	{Name: "startsWith", Example: `file.path.startsWith("/etc/")`, Doc: "The string begins so."},
	{Name: "endsWith", Example: `file.name.endsWith(".so")`, Doc: "The string ends so."},
	{Name: "contains", Example: `process.command_line.contains("base64")`, Doc: "The string holds the other."},
	{Name: "glob", Example: `file.path.glob("/home/*/.ssh/**")`, Doc: "The whole string matches the pattern: * any run of characters but /, ** any run, ? one character but /, [a-z] one of these, \\ takes the next as it is.", Constant: true},
	{Name: "matches", Example: `process.name.matches("^python[0-9.]*$")`, Doc: "A part of the string matches the RE2 regular expression.", Constant: true},
	{Name: "lowerAscii", Example: `process.name.lowerAscii()`, Doc: "The string with A to Z in lower case."},
	{Name: "upperAscii", Example: `process.name.upperAscii()`, Doc: "The string with a to z in upper case."},
	{Name: "trim", Example: `process.command_line.trim()`, Doc: "The string without blanks at its ends."},
	{Name: "replace", Example: `file.path.replace("//", "/")`, Doc: "The string with every occurrence replaced."},
	{Name: "split", Example: `container.image.name.split("/")`, Doc: "The parts between the separators."},
	{Name: "join", Example: `process.args.join(" ")`, Doc: "The strings of a list in one, a separator between them."},
	{Name: "substring", Example: `file.path.substring(0, 4)`, Doc: "The characters from the first index up to the second; an index outside the string is an error."},
	{Name: "indexOf", Example: `file.path.indexOf("/")`, Doc: "Index of the first occurrence, -1 if there is none."},
	{Name: "lastIndexOf", Example: `file.path.lastIndexOf("/")`, Doc: "Index of the last occurrence, -1 if there is none."},
	{Name: "charAt", Example: `file.name.charAt(0)`, Doc: "The character at the index, empty at the end of the string."},

	{Name: "cidr", Example: `cidr("10.0.0.0/8").containsIP(destination.ip)`, Doc: "An address range; an error if the string is none.", Constant: true},
	{Name: "containsIP", Example: `cidr("10.0.0.0/8").containsIP(destination.ip)`, Doc: "The address lies in the range; an error if the string is no address, as for a unix socket."},
	{Name: "containsCIDR", Example: `cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16")`, Doc: "The range holds the other."},
	{Name: "prefixLength", Example: `cidr("10.0.0.0/8").prefixLength()`, Doc: "Length of the range's prefix."},
	{Name: "ip", Example: `ip(destination.ip).isLoopback()`, Doc: "An address; an error if the string is none."},
	{Name: "isIP", Example: `isIP(destination.ip)`, Doc: "The string is an address."},
	{Name: "isCIDR", Example: `isCIDR("10.0.0.0/8")`, Doc: "The string is an address range."},
	{Name: "family", Example: `ip(destination.ip).family() == 6`, Doc: "4 or 6."},
	{Name: "isLoopback", Example: `ip(destination.ip).isLoopback()`, Doc: "127.0.0.0/8 or ::1."},
	{Name: "isUnspecified", Example: `ip(source.ip).isUnspecified()`, Doc: "0.0.0.0 or ::."},
	{Name: "isGlobalUnicast", Example: `ip(destination.ip).isGlobalUnicast()`, Doc: "A unicast address, private ranges included."},
	{Name: "isLinkLocalUnicast", Example: `ip(destination.ip).isLinkLocalUnicast()`, Doc: "169.254.0.0/16 or fe80::/10."},
	{Name: "isLinkLocalMulticast", Example: `ip(destination.ip).isLinkLocalMulticast()`, Doc: "224.0.0.0/24 or ff02::/16."},

	{Name: "sets.contains", Example: `sets.contains(process.args, ["-e", "-c"])`, Doc: "The first list holds every element of the second."},
	{Name: "sets.intersects", Example: `sets.intersects(process.capabilities.effective, ["CAP_SYS_ADMIN"])`, Doc: "The lists share an element."},
	{Name: "sets.equivalent", Example: `sets.equivalent(["a"], ["a", "a"])`, Doc: "The lists hold the same elements."},

	{Name: "int", Example: `int(event.time)`, Doc: "A string as number, a timestamp as Unix seconds; an error if the string is no number."},
	{Name: "string", Example: `string(process.pid)`, Doc: "A number or timestamp as string."},
	{Name: "duration", Example: `duration("10m")`, Doc: "A length of time.", Constant: true},
	{Name: "timestamp", Example: `timestamp("2026-01-31T00:00:00Z")`, Doc: "A moment.", Constant: true},
	{Name: "getHours", Example: `event.time.getHours("Europe/Berlin") < 6`, Doc: "Hour of the day, in UTC or the named time zone."},
	{Name: "getDayOfWeek", Example: `event.time.getDayOfWeek() == 0`, Doc: "Day of the week, Sunday being 0."},
}

// Functions returns what conditions may call, for the manual.
func Functions() []Function { return slices.Clone(functions) }

func functionNamed(name string) *Function {
	for i := range functions {
		if functions[i].Name == name {
			return &functions[i]
		}
	}
	return nil
}

// globOption declares glob. Patterns are constants and compiled when the rule is
// loaded (foldConstants); the binding here serves folding itself.
func globOption() cel.EnvOption {
	return cel.Function("glob", cel.MemberOverload(globOverload, []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
		cel.BinaryBinding(func(s, pattern ref.Val) ref.Val {
			g, err := compileGlob(string(pattern.(types.String)))
			if err != nil {
				return types.WrapErr(fmt.Errorf("glob: %w", err))
			}
			return types.Bool(g.match(string(s.(types.String))))
		})))
}

const globOverload = "string_glob"
