// Package flip flips one bit in one file of a server's data, starts on it, and
// judges what is answered then.
//
// A disk that gives back another byte than was written is the one fault that no
// sync prevents. What it may cost depends on where the bit lies:
//
//   - In a block of the log it costs at most that block: every other event is read
//     unchanged, those of the block are read unchanged or named as lost, and no
//     number is given twice. In a footer, or in space that was not written yet, it
//     costs nothing and is named; at the end of the log the anchor shows it.
//   - In the index it costs time: the index is made anew, and until then an answer
//     that may lack something says so.
//   - In the control state the server does not start, and names the command that
//     restores the last snapshot; or the bit means nothing, and every record is what
//     it was. Only in the last two transactions of its write-ahead log may a flip be
//     taken for a write that a power cut interrupted.
//   - In a snapshot it is found when the snapshot is to be restored, and the one
//     before is taken.
//   - In the key file it keeps the server from starting, or means nothing.
//   - In what only helps while a server runs (locks, SQLite's shared memory, the
//     reserve of space, an object that a kill has left) it costs nothing.
//
// The data are those of a real server, which was stopped once and killed once.
// Thousands of flips are judged through the engines, a few milliseconds each, on
// copies in which files that never change are linked; some go through the server
// itself, until every stream has told what became of each event. Which bit is
// flipped is drawn from a seed. A failed drill keeps its data, with which the seed
// plays the same flip again.
package flip
