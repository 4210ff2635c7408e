package destination

import "context"

type progressKey struct{}

// WithProgress returns a context for one Send or Put that has [Progressed] call f.
// f may be called at any time and by several goroutines at once.
func WithProgress(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}

// Progressed says that the far side does something: kinds whose Send takes several
// requests call it after each answer, so that a far side that is merely slow is
// not taken for one that hangs.
func Progressed(ctx context.Context) {
	if f, ok := ctx.Value(progressKey{}).(func()); ok {
		f()
	}
}
