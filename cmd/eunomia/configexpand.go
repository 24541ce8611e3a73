package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
)

// expand replaces ${NAME}, from the environment, and ${file:/path} in every string
// below v, whose key is key: so secrets need not stand in the configuration file.
func expand(v reflect.Value, key string, getenv func(string) string, report *configReport) {
	replace := func(s, key string) string {
		expanded, err := expandString(s, getenv)
		if err != nil {
			report.add(key, "secret", err.Error(), hintOf(err))
		}
		return expanded
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(replace(v.String(), key))
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("toml")
			if name != "" && key != "" {
				name = "." + name
			}
			expand(v.Field(i), key+name, getenv, report)
		}
	case reflect.Slice:
		for i := range v.Len() {
			expand(v.Index(i), key+"["+strconv.Itoa(i)+"]", getenv, report)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			s := replace(v.MapIndex(k).String(), key+"."+k.String())
			v.SetMapIndex(k, reflect.ValueOf(s).Convert(v.Type().Elem()))
		}
	}
}

// expandString never quotes what it found: it may be a part of a secret.
func expandString(s string, getenv func(string) string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", hinted{errors.New("${ without }"), "write ${NAME} or ${file:/path}; a secret that contains ${ can come from either"}
		}
		if file, ok := strings.CutPrefix(name, "file:"); ok {
			data, err := os.ReadFile(file)
			if err != nil {
				return "", hinted{fmt.Errorf("the file %s cannot be read: %s", file, cause(err)), "the detector must be able to read it; give its absolute path"}
			}
			out.WriteString(strings.TrimRight(string(data), "\r\n"))
		} else if value := getenv(name); value != "" {
			out.WriteString(value)
		} else {
			return "", hinted{fmt.Errorf("the environment has no %s, or it is empty", name), "set it for the detector, or use ${file:/path}"}
		}
		s = after
	}
}

// cause returns what the system said, without the file's name.
func cause(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
