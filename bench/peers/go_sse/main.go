// SPDX-License-Identifier: MIT
// main.go - go-sse on the bench's corpora. Arguments and output: see ../../peers.py.
package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/tmaxmax/go-sse"
)

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

func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func seconds(stream []byte, chunk, times int) float64 {
	begin, used := time.Now(), processor()
	for range times {
		parse(stream, chunk, touch)
	}
	return min(time.Since(begin), processor()-used).Seconds() / float64(times)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func main() {
	directory, rounds := os.Args[1], number(os.Args[2])
	for _, corpus := range []string{"a", "b", "c"} {
		stream, err := os.ReadFile(directory + "/" + corpus + ".txt")
		if err != nil {
			panic(err)
		}
		for _, argument := range os.Args[3:] {
			chunk := number(argument)
			told := digest(stream, chunk)
			times := 1 + int(0.05/seconds(stream, chunk, 1))
			fmt.Print("row ", corpus, " ", chunk, " ", told)
			for range rounds {
				fmt.Printf(" %.9f", seconds(stream, chunk, times))
			}
			fmt.Println(" go-sse")
		}
	}
	if events == 0 || touched == 0 {
		panic("nothing was read")
	}
}
