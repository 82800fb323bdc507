package main

import (
	"reflect"
	"sync"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

// member is one line of `members`.
type member struct {
	node        memberlist.Node
	state       memberlist.NodeStateType
	incarnation uint32
}

func stateName(state memberlist.NodeStateType) string {
	switch state {
	case memberlist.StateAlive:
		return "alive"
	case memberlist.StateSuspect:
		return "suspect"
	case memberlist.StateDead:
		return "dead"
	case memberlist.StateLeft:
		return "left"
	default:
		return "unknown"
	}
}

// tableView reads memberlist's private table of members.
//
// memberlist keeps states and incarnations to itself: Node.State, which looks like the place, is
// never written (the table's own entry has a field of the same name that hides it), Members()
// leaves out the dead and the left, and NotifyLeave does not tell the two apart. Interop tests
// compare exactly these, so this reads the private fields by name. Where the linked version
// lacks them the peer still works, and says less: the live members only, all of them alive.
type tableView struct {
	list  *memberlist.Memberlist
	known bool
}

func newTableView(list *memberlist.Memberlist) *tableView {
	return &tableView{list: list, known: fieldsAreKnown()}
}

// fieldsAreKnown reports whether this memberlist's fields are the ones that the view reads.
func fieldsAreKnown() bool {
	table := reflect.TypeFor[memberlist.Memberlist]()
	lock, hasLock := table.FieldByName("nodeLock")
	nodes, hasNodes := table.FieldByName("nodes")
	if !hasLock || lock.Type != reflect.TypeFor[sync.RWMutex]() || !hasNodes ||
		nodes.Type.Kind() != reflect.Slice || nodes.Type.Elem().Kind() != reflect.Pointer ||
		nodes.Type.Elem().Elem().Kind() != reflect.Struct {
		return false
	}
	entry := nodes.Type.Elem().Elem()
	node, hasNode := entry.FieldByName("Node")
	state, hasState := entry.FieldByName("State")
	incarnation, hasIncarnation := entry.FieldByName("Incarnation")
	return hasNode && node.Type == reflect.TypeFor[memberlist.Node]() &&
		hasState && state.Type == reflect.TypeFor[memberlist.NodeStateType]() &&
		hasIncarnation && incarnation.Type.Kind() == reflect.Uint32
}

// members copies the table. It takes memberlist's lock, so event handlers, which run under
// it, must use stateOf instead.
func (v *tableView) members() []member {
	if !v.known {
		var members []member
		for _, node := range v.list.Members() {
			members = append(members, member{node: *node})
		}
		return members
	}
	table := reflect.ValueOf(v.list).Elem()
	// Reflection cannot call methods on private fields; this is the one way to the lock.
	lock := (*sync.RWMutex)(unsafe.Pointer(table.FieldByName("nodeLock").UnsafeAddr()))
	lock.RLock()
	defer lock.RUnlock()
	nodes := table.FieldByName("nodes")
	members := make([]member, 0, nodes.Len())
	for i := range nodes.Len() {
		members = append(members, readEntry(nodes.Index(i).Elem()))
	}
	return members
}

// stateOf is the state of one member, for callers that hold memberlist's lock already.
func (v *tableView) stateOf(name string) (memberlist.NodeStateType, bool) {
	if !v.known {
		return 0, false
	}
	nodes := reflect.ValueOf(v.list).Elem().FieldByName("nodes")
	for i := range nodes.Len() {
		entry := nodes.Index(i).Elem()
		if entry.FieldByName("Node").FieldByName("Name").String() == name {
			return memberlist.NodeStateType(entry.FieldByName("State").Int()), true
		}
	}
	return 0, false
}

func readEntry(entry reflect.Value) member {
	node := entry.FieldByName("Node")
	return member{
		node: memberlist.Node{
			Name: node.FieldByName("Name").String(),
			Addr: append([]byte(nil), node.FieldByName("Addr").Bytes()...),
			Port: uint16(node.FieldByName("Port").Uint()),
			Meta: append([]byte(nil), node.FieldByName("Meta").Bytes()...),
		},
		state:       memberlist.NodeStateType(entry.FieldByName("State").Int()),
		incarnation: uint32(entry.FieldByName("Incarnation").Uint()),
	}
}
