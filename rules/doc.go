// Package rules reads rule files. It decides what the YAML of a rule means, how
// several files merge, and what the CEL in them says once macros and lists are
// expanded; every mistake becomes a [Diagnostic] with its place and remedy, and
// takes down only the rule it is in. It does not know CEL's types: package engine
// checks and compiles the [Set] that [Load] returns.
//
// # A rule file
//
//	lists:                                 # of strings, or of integers
//	  shells: [bash, sh, zsh]
//	  all_shells: [{list: shells}, pwsh]   # with the items of another list
//	macros:                                # names for pieces of CEL
//	  in_container: container.id != ""
//	rules:
//	  - id: shell_in_container             # id, title, on, condition, severity: required
//	    title: Shell in a container
//	    on: [exec]
//	    condition: in_container && process.name in all_shells
//	    severity: medium
//	    exceptions:
//	      - {name: debug_pod, condition: 'container.name == "debug"', reason: on call, expires: 2027-06-30}
//	    message: "{process.name} in {container.name}"   # CEL in braces; {{ and }} are braces
//	    throttle: {by: [container.id], every: 1m}
//	    tests:
//	      - fires: {process.name: bash, container.id: 4f1c}
//
// A rule may also have description, attack, tags, enabled, false_positives and
// references. Unquoted integers in a list are integers in CEL; anything else in it
// is a string.
//
// # Several files
//
// Files merge in the order given, those of a directory by name, the documents of
// one file from top to bottom. Defining a name twice is a mistake; changing an
// earlier definition is said so:
//
//	lists:
//	  shells: {append: [nu]}               # or {override: [nu]}
//	macros:
//	  in_container: {and: "!container.privileged"}   # or {or: …}, or {override: …}
//	rules:
//	  - id: shell_in_container
//	    override: {severity: low}          # each key given replaces the earlier value
//	    append:                            # each key given adds to the earlier value
//	      and: process.user.id != 0        # or or: the condition becomes (earlier) && (this)
//	      exceptions: [{name: ci, condition: 'container.name == "ci"', reason: build host}]
//	      tags: [ours]
//	disable: [noisy_rule, "ssh_*", "tag:experimental"]
//	enable: [ssh_key_write]
//
// disable and enable apply to the rules defined so far, disable first; the last
// file that names a rule decides. Macros and lists are expanded when everything is
// merged, so a change to a macro reaches the rules of earlier files.
//
// # Adding to the format
//
// A new key of a rule is one row of ruleKeys, a member of definition and of [Rule],
// and, where it decides what the rule does, a line in hash.go. A new key at the top
// of a file is one row of topKeys.
package rules
