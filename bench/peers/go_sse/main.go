// SPDX-License-Identifier: MIT
// main.go - go-sse on the bench's corpora: its parser, and its replayer as a store. See ../../peers.py.
package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tmaxmax/go-sse"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func number(text string) int { return must(strconv.Atoi(text)) }

func processor() time.Duration {
	var used syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func seconds(times int, run func()) float64 {
	begin, used := time.Now(), processor()
	for range times {
		run()
	}
	return min(time.Since(begin), processor()-used).Seconds() / float64(times)
}

// samples of at least so many seconds, one for each round.
func samples(rounds int, least float64, run func()) string {
	times := 1 + int(least/(seconds(2, run)+1e-7))
	var text strings.Builder
	for range rounds {
		fmt.Fprintf(&text, " %.9f", seconds(times, run))
	}
	return text.String()
}

// ---- the parser ----

// chunks gives the bytes as a socket would: at most size of them for each Read.
type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(to []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(to[:min(len(to), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func parse(stream []byte, chunk int, onEvent func(*sse.Event)) {
	for event, err := range sse.Read(&chunks{stream, chunk}, nil) {
		if err != nil {
			panic(err)
		}
		onEvent(&event)
	}
}

func digest(stream []byte, chunk int) string {
	events := 0
	hash := fnv.New32a()
	parse(stream, chunk, func(e *sse.Event) {
		events++
		name := e.Type
		if name == "" {
			name = "message"
		}
		io.WriteString(hash, e.LastEventID+"\n"+name+"\n"+e.Data+"\n\n")
	})
	return fmt.Sprintf("%d %08x", events, hash.Sum32())
}

var events, touched int

func touch(e *sse.Event) {
	events++
	if len(e.Data) > 0 {
		touched += int(e.Data[0]) + int(e.Data[len(e.Data)-1])
	}
}

func measureParser(corpus string, stream []byte, rounds int, sizes []string) {
	for _, argument := range sizes {
		chunk := number(argument)
		told := digest(stream, chunk)
		fmt.Printf("row %s %d %s%s go-sse\n", corpus, chunk, told, samples(rounds, 0.05, func() { parse(stream, chunk, touch) }))
	}
	if events == 0 || touched == 0 {
		panic("nothing was read")
	}
}

// ---- the store ----

const held = 100_000

// message makes an event of a block of the corpus, with strings of its own.
func message(block string) *sse.Message {
	m := &sse.Message{}
	for _, line := range strings.Split(block, "\n") {
		switch name, value, _ := strings.Cut(line, ": "); name {
		case "event":
			m.Type = sse.Type(strings.Clone(value))
		case "data":
			m.AppendData(strings.Clone(value))
		}
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

func measureStore(corpus string, stream []byte, rounds int, missed []string, autoIDs bool) {
	// The IDs that the other stores have, too; a publisher makes each anew.
	label, format := "go-sse FiniteReplayer", map[string]string{"a": "%07d", "b": "%010d"}[corpus]
	if autoIDs {
		label, format = label+", its own IDs", "%d"
	}
	id := func(i int) sse.EventID { return sse.ID(fmt.Sprintf(format, i)) }
	blocks := strings.Split(strings.TrimSuffix(string(stream), "\n\n"), "\n\n")
	wire := 0
	before := heap()
	// One more than it is to hold: filled to the last place, it answers the newest ID with all its events.
	replayer := must(sse.NewFiniteReplayer(held+1, autoIDs))
	for i := range held {
		m := message(blocks[i%len(blocks)])
		if !autoIDs {
			m.ID = id(i)
		}
		wire += len(must(replayer.Put(m, []string{"news"})).String())
	}
	fmt.Println("memory", corpus, held, wire, heap()-before, label)
	for _, argument := range missed {
		behind := number(argument)
		got := 0
		replay := func() {
			client := counter{}
			from := sse.Subscription{Client: &client, LastEventID: id(held - 1 - behind), Topics: []string{"news"}}
			must(0, replayer.Replay(from))
			got = client.events
		}
		if replay(); got != behind {
			fmt.Println("wrong", corpus, behind, got, label)
			continue
		}
		fmt.Printf("replay %s %d%s %s\n", corpus, behind, samples(rounds, 0.003, replay), label)
	}
	runtime.KeepAlive(replayer)
	runtime.KeepAlive(blocks) // it was there before, and is no part of the store
}

func main() {
	kind, directory, rounds, numbers := os.Args[1], os.Args[2], number(os.Args[3]), os.Args[4:]
	for _, corpus := range []string{"a", "b", "c"} {
		stream := must(os.ReadFile(directory + "/" + corpus + ".txt"))
		if kind == "parse" {
			measureParser(corpus, stream, rounds, numbers)
		} else if corpus != "c" {
			measureStore(corpus, stream, rounds, numbers, false)
			measureStore(corpus, stream, rounds, numbers, true)
		}
	}
}
