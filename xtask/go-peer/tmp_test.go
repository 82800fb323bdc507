package main

import ("testing";"time")

func TestTmpPolite(t *testing.T) {
	ada := start(t, "ada", "--profile", "local")
	bob := start(t, "bob", "--profile", "local", "--join", ada.address)
	ada.await(t, "join", "bob")
	_ = bob.transport.Shutdown()
	time.Sleep(40 * time.Second)
	t.Log(ada.stateOf(t, "bob"))
	t.Log(ada.transcript())
}
