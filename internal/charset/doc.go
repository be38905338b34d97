// Package charset tells in what encoding a text file is, and reads it as UTF-8.
//
// Chinese files come as UTF-8, as GB18030 (of which GBK and GB2312 are parts) and, from Excel, as UTF-16. [Sniff] tells
// which from a bounded part of the file: the marks at its beginning first, then whether the bytes are text in one
// encoding and not in another. [NewReader] decodes. What it cannot read it does not hide behind U+FFFD: it leaves a byte
// in the text that is in no UTF-8, so that whoever checks lines can say which one it is.
//
// It is not a detector for all the encodings of the world: a file in Big5, Shift JIS or Windows-1252 is told from
// UTF-8 and GB18030, so that it is refused rather than asked as gibberish, and has to be converted. EUC-KR, EUC-JP
// and KOI8-R cannot be told from GB18030. It may import no package of this module, and internal/batch is its only user.
package charset
