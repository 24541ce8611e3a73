package main

import (
	"errors"

	"eunomia/outputs"
	"eunomia/probes"
)

// each returns the errors that err joins, or err itself.
func each(err error) []error {
	var usage usageError
	if errors.As(err, &usage) {
		err = usage.error
	}
	joined, ok := err.(interface{ Unwrap() []error }) // a list that is wrapped in words stays whole
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, each(one)...)
	}
	return all
}

// hintOf returns the remedy that an error carries.
func hintOf(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	var p *probes.Error
	if errors.As(err, &p) {
		return p.Hint
	}
	var o *outputs.Problem
	if errors.As(err, &o) {
		return o.Hint
	}
	return ""
}
