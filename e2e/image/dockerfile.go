package image

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// stage is what the last stage of a Dockerfile says about running it.
type stage struct {
	base       string
	env        []string
	user       string
	workdir    string
	entrypoint []string
	cmd        []string
	health     []string
	copies     []string // destination paths of COPY
}

// parse reads the instructions that this project's Dockerfile uses, and refuses
// others, so that the test cannot fall behind the file.
func parse(path string) (stage, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return stage{}, err
	}
	var s stage
	text := strings.ReplaceAll(string(b), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			s = stage{base: strings.Fields(rest)[0]}
			continue
		}
		if err := s.instruction(word, strings.TrimSpace(rest)); err != nil {
			return stage{}, err
		}
	}
	return s, nil
}

func (s *stage) instruction(word, rest string) (err error) {
	switch word {
	case "ENV":
		s.env = append(s.env, strings.Fields(rest)...)
	case "USER":
		s.user = rest
	case "WORKDIR":
		s.workdir = rest
	case "ENTRYPOINT":
		err = json.Unmarshal([]byte(rest), &s.entrypoint)
	case "CMD":
		err = json.Unmarshal([]byte(rest), &s.cmd)
	case "HEALTHCHECK":
		_, list, _ := strings.Cut(rest, "CMD ")
		err = json.Unmarshal([]byte(list), &s.health)
	case "COPY":
		fields := strings.Fields(rest)
		s.copies = append(s.copies, fields[len(fields)-1])
	case "EXPOSE", "VOLUME", "ARG", "RUN":
	default:
		err = fmt.Errorf("instruction %s: not known to this test", word)
	}
	return err
}
