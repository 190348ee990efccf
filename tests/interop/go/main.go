// Verifies what the broker's log hands out, with the packages that verify Go's own checksum database.
//
// Lines of standard input, each a word and base64 arguments behind it; each is answered with one line, "ok" or why not:
//
//	note <vkey> <note>                              the note opens with the key; answers its text
//	record <index> <size> <root> <entry> <proof>    the entry is in the tree
//	tree <old size> <old root> <size> <root> <proof>  the tree begins with the old one
package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		said, err := answer(strings.Split(lines.Text(), " "))
		if err != nil {
			said = "no " + base64.StdEncoding.EncodeToString([]byte(err.Error()))
		}
		fmt.Println(said)
	}
}

func answer(words []string) (string, error) {
	told := make([][]byte, len(words)-1)
	for i, word := range words[1:] {
		data, err := base64.StdEncoding.DecodeString(word)
		if err != nil {
			return "", err
		}
		told[i] = data
	}
	switch {
	case words[0] == "note" && len(told) == 2:
		return opened(string(told[0]), told[1])
	case words[0] == "record" && len(told) == 5:
		leaf := tlog.RecordHash(told[3])
		return "ok", tlog.CheckRecord(tlog.RecordProof(hashes(told[4])), number(told[1]), hash(told[2]), number(told[0]), leaf)
	case words[0] == "tree" && len(told) == 5:
		return "ok", tlog.CheckTree(tlog.TreeProof(hashes(told[4])), number(told[2]), hash(told[3]), number(told[0]), hash(told[1]))
	}
	return "", errors.New("no such question")
}

func opened(key string, text []byte) (string, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return "", err
	}
	found, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	if len(found.Sigs) != 1 {
		return "", errors.New("not one verified signature")
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.SplitN(found.Text, "\n", 2)[1]))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("ok %d %s", tree.N, base64.StdEncoding.EncodeToString(tree.Hash[:])), nil
}

func number(data []byte) int64 {
	value, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return -1
	}
	return value
}

func hash(data []byte) (found tlog.Hash) {
	copy(found[:], data)
	return found
}

func hashes(data []byte) (found []tlog.Hash) {
	for ; len(data) >= tlog.HashSize; data = data[tlog.HashSize:] {
		found = append(found, hash(data))
	}
	return found
}
