package main

import (
	"fmt"
	"io"
)

// painter prints the demo's steps, in colour when a person looks.
type painter struct {
	out    io.Writer
	colour bool
}

func newPainter(env *Env, silent bool) *painter {
	if silent {
		return &painter{out: io.Discard}
	}
	return &painter{out: env.Stdout, colour: env.Terminal && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb"}
}

func (p *painter) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// step prints a line with a bold word in front.
func (p *painter) step(word, format string, args ...any) {
	fmt.Fprintf(p.out, "%s %s\n", p.paint("1", fmt.Sprintf("%-9s", word)), fmt.Sprintf(format, args...))
}

// sub prints a line below a step.
func (p *painter) sub(word, format string, args ...any) {
	fmt.Fprintf(p.out, "  %s %s\n", p.paint("32", fmt.Sprintf("%-9s", word)), fmt.Sprintf(format, args...))
}

func (p *painter) note(format string, args ...any) {
	fmt.Fprintf(p.out, "%-9s %s\n", "", fmt.Sprintf(format, args...))
}

func (p *painter) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}
