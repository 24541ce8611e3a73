package enrich

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Major numbers of terminals, from Documentation/admin-guide/devices.txt.
const (
	majorConsole = 4 // tty1, ttyS0
	majorAlias   = 5 // /dev/tty, /dev/console
	majorPTS     = 136
	lastPTS      = 143
	majorHVC     = 229
	majorSerial  = 204 // ttyAMA0 and others
	majorUSB     = 188
	majorACM     = 166
)

func isTTY(major uint32) bool {
	switch {
	case major >= majorPTS && major <= lastPTS:
		return true
	default:
		return major == majorConsole || major == majorAlias || major == majorHVC || major == majorSerial || major == majorUSB || major == majorACM
	}
}

// ttyName names the controlling terminal given as tty_nr of /proc/<pid>/stat as the
// kernel does: pts0, tty1, ttyS0.
func ttyName(number uint32) string {
	if number == 0 {
		return ""
	}
	major, minor := number>>8&0xfff, number&0xff|number>>12&0xfff00
	switch {
	case major >= majorPTS && major <= lastPTS:
		return "pts" + strconv.Itoa(int((major-majorPTS)<<8+minor))
	case major == majorConsole && minor < 64:
		return "tty" + strconv.Itoa(int(minor))
	case major == majorConsole:
		return "ttyS" + strconv.Itoa(int(minor-64))
	case major == majorHVC:
		return "hvc" + strconv.Itoa(int(minor))
	}
	device := fmt.Sprintf("%d:%d", major, minor)
	if link, err := os.Readlink("/sys/dev/char/" + device); err == nil {
		return filepath.Base(link)
	}
	return "tty " + device
}
