// SPDX-License-Identifier: MIT

// The queue workloads between threads, through one of Go's buffered channels.
//
//	peer_go PRODUCERS CONSUMERS BATCH CAPACITY COUNT
//
// Prints "ok NANOSECONDS", from the common start to the last consumer's end, or "wrong" when
// what was received is not what was sent. A channel has no batches: who has, or wants, BATCH
// items at a time sends or receives them one after the other.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

type account struct {
	sum   uint64
	ended time.Time
	_     [96]byte // others' lie on other cache lines
}

// A word that no other item has.
func word(producer, number uint64) uint64 {
	return (producer<<56 | number) * 0x9e3779b97f4a7c15
}

func produce(line chan<- uint64, producer, share, batch uint64, a *account) {
	items := make([]uint64, batch)
	sum := uint64(0)
	for sent := uint64(0); sent < share; sent += batch {
		for i := range items {
			items[i] = word(producer, sent+uint64(i))
			sum += items[i]
		}
		for _, item := range items {
			line <- item
		}
	}
	a.sum = sum
}

func consume(line <-chan uint64, share, batch uint64, a *account) {
	items := make([]uint64, batch)
	sum := uint64(0)
	for received := uint64(0); received < share; received += batch {
		for i := range items {
			items[i] = <-line
		}
		for _, item := range items {
			sum += item
		}
	}
	a.sum = sum
	a.ended = time.Now()
}

func numbers() (n [5]uint64) {
	for i := range n {
		number, err := strconv.ParseUint(os.Args[i+1], 10, 64)
		if err != nil || number == 0 {
			fmt.Fprintln(os.Stderr, "usage: peer_go PRODUCERS CONSUMERS BATCH CAPACITY COUNT")
			os.Exit(2)
		}
		n[i] = number
	}
	return n
}

func main() {
	if len(os.Args) != 6 {
		os.Args = make([]string, 6)
	}
	n := numbers()
	producers, consumers, batch, capacity, count := n[0], n[1], n[2], n[3], n[4]
	line := make(chan uint64, capacity)
	accounts := make([]account, producers+consumers)
	start := make(chan struct{})
	over := make(chan struct{})
	for i := range accounts {
		go func(i uint64) {
			<-start
			if i < producers {
				produce(line, i, count/producers, batch, &accounts[i])
			} else {
				consume(line, count/consumers, batch, &accounts[i])
			}
			over <- struct{}{}
		}(uint64(i))
	}
	began := time.Now()
	close(start)
	for range accounts {
		<-over
	}
	sum, took := uint64(0), time.Duration(0)
	for _, a := range accounts[:producers] {
		sum += a.sum
	}
	for _, a := range accounts[producers:] {
		sum -= a.sum
		if d := a.ended.Sub(began); d > took {
			took = d
		}
	}
	if sum != 0 {
		fmt.Println("wrong")
		return
	}
	fmt.Println("ok", took.Nanoseconds())
}
