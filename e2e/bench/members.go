package main

import "time"

// warmUp is how long each cluster is written to before the first row: members
// that have just formed one still fill the first segments of their logs.
const warmUp = 3 * time.Second

// overAll opens a row's connections on all members of a cluster, as many on each:
// what clients do that know all addresses. A member that follows passes on what
// it is asked to write.
func overAll(open opener) opener {
	return func(s *setup, t *target, conns int) (all []caller, err error) {
		for i, m := range t.members {
			share := (conns + len(t.members) - 1 - i) / len(t.members)
			cs, err := open(s, m.target, share)
			if err != nil {
				closeAll(all)
				return nil, err
			}
			all = append(all, cs...)
		}
		return all, nil
	}
}

// leading opens them on the member that leads.
func leading(open opener) opener {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		m, err := t.leader(s.ctx)
		if err != nil {
			return nil, err
		}
		return open(s, m.target, conns)
	}
}

func trioRows() []row {
	const goal = "GOAL-05 ≥ 1.5 E3"
	rows := []row{}
	for _, kind := range []struct {
		name string
		open opener
	}{{"HTTP", openPublish(small)}, {"gRPC", openPublishGRPC(small)}} {
		for _, conns := range []int{64, 256} {
			rows = append(rows, row{
				name: "publish on three members, " + kind.name + ", 256 B", conns: conns, ceiling: etcdTrio, goal: goal,
				open: overAll(kind.open), static: overAll(openPut(small)),
			})
		}
	}
	return append(rows, row{
		name: "publish on three members, through the leader, gRPC, 256 B", conns: 64, ceiling: etcdTrio,
		open: leading(openPublishGRPC(small)), static: leading(openPut(small)),
	})
}

// trios measures what three members on this machine publish together (GOAL-05).
func (s *setup) trios(rep *report) error {
	if s.o.server == "" {
		return nil
	}
	return s.rows(&rep.trios, trioRows(), func() error {
		if err := s.upTrios(); err != nil {
			return err
		}
		for t, open := range map[*target]opener{s.servers[0]: openPublish(small), s.ceilings[etcdTrio]: openPut(small)} {
			if err := s.warm(t, overAll(open)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *setup) warm(t *target, open opener) error {
	cs, err := open(s, t, 64)
	if err != nil {
		return err
	}
	defer closeAll(cs)
	_, err = drive(s.ctx, cs, warmUp, t.cpu)
	return err
}
