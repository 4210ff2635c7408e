package deliver

// slowShare is the part of the free memory that one send may take that does not
// count as a quick one.
const slowShare = 8

// share returns how many of the bytes that a lane could send at once it may take
// from the half of the memory that is for lanes that are behind or slow. However
// many there are, each may take cautiousBytes, and a larger event alone.
func (d *Deliverer) share(bytes int) int {
	free := max(0, int(d.quickBytes()-d.slowBytes.Load()))
	return min(bytes, max(free/slowShare, cautiousBytes))
}

// charge counts the events of w against that half until release is called.
func (d *Deliverer) charge(w *work) (release func()) {
	n := int64(0)
	for i := range w.events {
		n += int64(len(w.events[i].Payload))
	}
	d.slowBytes.Add(n)
	return func() { d.slowBytes.Add(-n) }
}
