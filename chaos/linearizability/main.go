// Reads the history of a run from standard input, one operation as JSON on each line, and checks with Porcupine, certificate
// by certificate, that it is linearizable: that each operation can have taken effect at one instant between its call and
// its answer. Prints one line for each certificate where it is not, and ends with 1 if there is one.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 60 * time.Second // for one certificate

// operation is what was asked of a certificate and answered; amounts are minor units, instants nanoseconds of one clock.
// Without an answer it took effect at some time after its call.
type operation struct {
	Certificate string `json:"certificate"`
	Kind        string `json:"kind"`
	Subject     string `json:"subject"`
	Called      int64  `json:"called"`
	Answered    *int64 `json:"answered"`
	Amount      int64  `json:"amount"`
	Held        int64  `json:"held"`
}

// certificate is the sequential one: whose reservation it is, what can be spent, and what is held for whom.
type certificate struct {
	owner   string
	balance int64
	holds   map[string]int64
}

func (one certificate) held() int64 {
	var sum int64
	for _, amount := range one.holds {
		sum += amount
	}
	return sum
}

// step says whether the certificate can do and answer this now, and how it is afterwards.
func step(one certificate, asked operation) (bool, certificate) {
	switch asked.Kind {
	case "reserve":
		free := one.owner == ""
		one.owner = asked.Subject
		return free, one
	case "release":
		owned := one.owner == asked.Subject
		one.owner = ""
		return owned, one
	case "hold":
		return hold(one, asked.Subject, asked.Amount)
	case "refuse":
		return one.balance < asked.Amount, one
	case "void", "capture":
		return end(one, asked)
	case "spend":
		enough := one.balance >= asked.Amount
		one.balance -= asked.Amount
		return enough, one
	case "restore":
		one.balance += asked.Amount
		return true, one
	case "read":
		return one.balance == asked.Amount && one.held() == asked.Held, one
	}
	return false, one
}

func hold(one certificate, redemption string, amount int64) (bool, certificate) {
	_, known := one.holds[redemption]
	enough := one.balance >= amount
	one.holds = maps.Clone(one.holds)
	one.holds[redemption] = amount
	one.balance -= amount
	return enough && !known, one
}

// end gives back what a purchase holds, all of it or what was not captured.
func end(one certificate, asked operation) (bool, certificate) {
	held, known := one.holds[asked.Subject]
	one.holds = maps.Clone(one.holds)
	delete(one.holds, asked.Subject)
	taken := int64(0)
	if asked.Kind == "capture" {
		taken = asked.Amount
	}
	one.balance += held - taken
	return known && taken <= held, one
}

func model(nominal int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return certificate{balance: nominal, holds: map[string]int64{}} },
		Step: func(state, input, _ any) (bool, any) {
			done, next := step(state.(certificate), input.(operation))
			return done, next
		},
		Equal: func(one, other any) bool {
			a, b := one.(certificate), other.(certificate)
			return a.owner == b.owner && a.balance == b.balance && maps.Equal(a.holds, b.holds)
		},
	}
}

func read() (map[string][]porcupine.Operation, error) {
	histories := map[string][]porcupine.Operation{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked operation
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return nil, err
		}
		answered := int64(math.MaxInt64)
		if asked.Answered != nil {
			answered = *asked.Answered
		}
		history := histories[asked.Certificate]
		histories[asked.Certificate] = append(history, porcupine.Operation{
			ClientId: len(history), Input: asked, Call: asked.Called, Return: answered,
		})
	}
	return histories, lines.Err()
}

func main() {
	var nominal int64
	if len(os.Args) != 2 || !scan(os.Args[1], &nominal) {
		fmt.Fprintln(os.Stderr, "usage: linearizability NOMINAL < operations")
		os.Exit(2)
	}
	histories, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	broken, checked := 0, 0
	for _, id := range slices.Sorted(maps.Keys(histories)) {
		checked += len(histories[id])
		if found := porcupine.CheckOperationsTimeout(model(nominal), histories[id], patience); found != porcupine.Ok {
			broken++
			fmt.Printf("certificate %s: its %d reservations and redemptions are in no order possible (%s)\n",
				id, len(histories[id]), found)
		}
	}
	fmt.Fprintf(os.Stderr, "%d operations on %d certificates checked by Porcupine\n", checked, len(histories))
	if broken > 0 {
		os.Exit(1)
	}
}

func scan(text string, number *int64) bool {
	_, err := fmt.Sscan(text, number)
	return err == nil
}
