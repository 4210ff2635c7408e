// The probe arrives three times at one point, and says so.
package main

import (
	"fmt"

	"github.com/sluicelog/sluice/failpoint"
)

func main() {
	for n := range 3 {
		arrive(n)
	}
}

//go:noinline
func arrive(n int) {
	failpoint.Here(failpoint.BlockWritten)
	fmt.Println(n + 1)
}
