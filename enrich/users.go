package enrich

import (
	"math"

	"eunomia/event"
)

// userKey is what names are looked up for.
type userKey struct {
	host, own                   *names
	euid, uid, egid, gid, login uint32
}

// users are the names of one combination of ids, shared by the processes that act
// under it.
type users struct {
	key   userKey
	names event.Users
}

type usersEpoch struct {
	host      *names
	forgotten uint64
}

// maxUsers bounds the combinations that are remembered.
const maxUsers = 4096

// name translates the ids of the task. The login user is always the host's.
func (n *Enricher) name(x *node, e *event.Event) {
	k := userKey{host: n.hostTable.Load(), euid: e.Task.EUID, uid: e.Task.UID, egid: e.Task.EGID, gid: e.Task.GID, login: x.process.LoginUID}
	k.own = k.host
	if x.slot != nil {
		if k.own = x.slot.names.Load(); k.own == nil {
			k.own = rootOnly
		}
	}
	if x.users == nil || x.users.key != k {
		x.users = n.usersOf(k)
	}
	e.Users = x.users.names
}

func (n *Enricher) usersOf(k userKey) *users {
	if u := n.users[k]; u != nil {
		return u
	}
	u := &users{key: k, names: event.Users{Effective: k.own.user(k.euid), Real: k.own.user(k.uid), Group: k.own.group(k.egid), RealGroup: k.own.group(k.gid)}}
	if k.login != math.MaxUint32 {
		u.names.Login = k.host.user(k.login)
	}
	// Tables that are out of use must not live on in here.
	if epoch := (usersEpoch{k.host, n.stats.containersForgotten.Load()}); len(n.users) >= maxUsers || epoch != n.usersAt {
		clear(n.users)
		n.usersAt = epoch
	}
	n.users[k] = u
	return u
}
