// Package segment stores a log in files of its own: the default engine.
//
// Each partition is a folder of files named by the first sequence number in
// them. A file is blocks one behind the other from its first byte, in space that
// was allocated beforehand, and nothing else while it is written. When the next
// block does not fit, the file is closed: a footer goes behind its last block
// and the unused space is given back. Closed files are never changed again;
// retention removes whole files.
//
// There is no other metadata, and the footer is only a cache: whatever it says
// is found from the blocks when it is missing or damaged. So the loss of any
// bytes costs the blocks that they belong to and no other. A reader that meets
// bytes that are no block searches for the next good header of the same log and
// partition and goes on there; what lies between is named with the numbers that
// its neighbours leave open. A torn or damaged end is never cut off nor written
// over: the partition continues in a new file, with numbers beyond those that the
// end may have used.
//
// Append writes a block with one write and one data sync. The first write into
// allocated space makes the file system change its own records at the sync; so
// zeros are written ahead of the blocks, a step at a time, and most blocks
// replace bytes that were written before.
package segment
