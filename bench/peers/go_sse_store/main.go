// SPDX-License-Identifier: MIT
// main.go - go-sse's replayers as stores of events. Arguments and output: see `stores` in ../../peers.py.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tmaxmax/go-sse"
)

const held = 100_000

type record struct{ kind, data string }

func records(path string) []record {
	stream, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var all []record
	for _, block := range strings.Split(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		var r record
		for _, line := range strings.Split(block, "\n") {
			switch name, value, _ := strings.Cut(line, ": "); name {
			case "event":
				r.kind = value
			case "data":
				r.data = value
			}
		}
		all = append(all, r)
	}
	return all
}

// digits are the IDs that the other stores have, too; a publisher makes each anew.
func digits(corpus string, i int) string {
	if corpus == "a" {
		return fmt.Sprintf("%07d", i)
	}
	return fmt.Sprintf("%010d", i)
}

func message(r record) *sse.Message {
	m := &sse.Message{}
	m.AppendData(strings.Clone(r.data))
	if r.kind != "" {
		m.Type = sse.Type(r.kind)
	}
	return m
}

// counter is a client that takes every event and writes none.
type counter struct{ events int }

func (c *counter) Send(*sse.Message) error { c.events++; return nil }
func (c *counter) Flush() error            { return nil }

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

type store struct {
	name    string
	make    func() (sse.Replayer, error)
	autoIDs bool
}

var stores = []store{
	// One more than it is to hold: filled to the last place, it answers the newest ID with all its events.
	{"go-sse FiniteReplayer", func() (sse.Replayer, error) { return sse.NewFiniteReplayer(held+1, false) }, false},
	{"go-sse FiniteReplayer, its own IDs", func() (sse.Replayer, error) { return sse.NewFiniteReplayer(held+1, true) }, true},
	{"go-sse ValidReplayer", func() (sse.Replayer, error) { return sse.NewValidReplayer(time.Hour, false) }, false},
}

func measure(s store, corpus string, all []record, rounds int, missed []string) {
	wire := 0
	before := heap()
	replayer, err := s.make()
	if err != nil {
		panic(err)
	}
	for i := range held {
		m := message(all[i%len(all)])
		if !s.autoIDs {
			m.ID = sse.ID(digits(corpus, i))
		}
		kept, err := replayer.Put(m, []string{"news"})
		if err != nil {
			panic(err)
		}
		wire += len(kept.String())
	}
	fmt.Println("memory", corpus, held, wire, heap()-before, s.name)

	for _, argument := range missed {
		behind := number(argument)
		id := digits(corpus, held-1-behind)
		if s.autoIDs {
			id = strconv.Itoa(held - 1 - behind)
		}
		replay := func() int {
			client := counter{}
			err := replayer.Replay(sse.Subscription{Client: &client, LastEventID: sse.ID(id), Topics: []string{"news"}})
			if err != nil {
				panic(err)
			}
			return client.events
		}
		if got := replay(); got != behind {
			fmt.Println("wrong", corpus, behind, got, s.name)
			continue
		}
		seconds := func(times int) float64 {
			begin, used := time.Now(), processor()
			for range times {
				replay()
			}
			return min(time.Since(begin), processor()-used).Seconds() / float64(times)
		}
		times := 1 + int(0.003/(seconds(3)+1e-7))
		fmt.Print("replay ", corpus, " ", behind)
		for range rounds {
			fmt.Printf(" %.9f", seconds(times))
		}
		fmt.Println("", s.name)
	}
	runtime.KeepAlive(replayer)
}

func main() {
	for _, corpus := range []string{"a", "b"} {
		all := records(os.Args[1] + "/" + corpus + ".txt")
		for _, s := range stores {
			measure(s, corpus, all, number(os.Args[2]), os.Args[3:])
		}
	}
}
