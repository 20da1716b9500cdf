package config

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/txn"
)

// Settings are what a Service stands on.
type Settings struct {
	Configs   configstore.Configs
	Store     kv.Store // for the barrier of fresh reads
	Committer txn.Committer
	Logger    *zap.Logger // nil: none

	MaxContent int // bytes; 0: configstore.MaxContent
	MaxGrays   int // of one config; 0: 10
}

// Service reads and writes configs by the rules of Nacos. All methods are safe
// for concurrent use, but for OnChange, which belongs before Run.
type Service struct {
	configs    configstore.Configs
	store      kv.Store
	committer  txn.Committer
	log        *zap.Logger
	maxContent int
	maxGrays   int
	listeners  []listener
}

// New builds a Service; it starts nothing.
func New(s Settings) *Service {
	out := &Service{
		configs: s.Configs, store: s.Store, committer: s.Committer, log: s.Logger,
		maxContent: s.MaxContent, maxGrays: s.MaxGrays,
	}
	if out.log == nil {
		out.log = zap.NewNop()
	}
	if out.maxContent == 0 {
		out.maxContent = configstore.MaxContent
	}
	if out.maxGrays == 0 {
		out.maxGrays = 10
	}
	return out
}

// casTries bounds how often a conditional publish looks again after somebody
// else was faster.
const casTries = 8

// Publish stores one publication. It returns *Error for what the caller did
// wrong, and core's errors else; kv.ErrUncertain may have happened. Publishing
// what is there already is success and no change.
func (s *Service) Publish(ctx context.Context, by auth.Actor, p Publish) error {
	if err := s.check(&p); err != nil {
		return err
	}
	op := p.op()
	if by.Subject == "" {
		by.Subject = p.SrcUser // nobody proved who they are: keep what they say
	}
	for range casTries {
		guard, err := s.guard(ctx, &p, op)
		if err != nil {
			return err
		}
		op.If = guard
		_, err = txn.Publish(ctx, s.committer, by, configstore.Op{Publish: op})
		if _, overtaken := errors.AsType[*configstore.GuardError](err); !overtaken {
			return publishError(op.Key, err)
		}
	}
	return publishError(op.Key, kv.ErrConflict)
}

func publishError(k configstore.Key, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publish %v: %w", k, err)
}

// guard looks at what is stored and returns what must still hold when the
// publish is committed. It refuses a digest that does not match (NAC-CFG-44) and
// one gray too many (NAD-SEM-31).
func (s *Service) guard(ctx context.Context, p *Publish, op *configstore.Publish) (configstore.Guard, error) {
	if p.CasMD5 == "" && op.Variant == "" {
		return configstore.Guard{}, nil
	}
	h, err := s.Head(ctx, op.Key, false)
	if err != nil {
		return configstore.Guard{}, err
	}
	var guard configstore.Guard
	there, digest := h != nil && h.Formal, configstore.Digest{}
	if there {
		digest = h.Digest
	}
	if op.Variant != "" {
		v := findVariant(h, op.Variant)
		if there = v != nil; there {
			digest = v.Digest
		} else if h != nil {
			if len(h.Variants) >= s.maxGrays {
				return guard, &Error{TooManyGrays, fmt.Sprintf("gray config version is over max count :%d", s.maxGrays)}
			}
			guard.Revision = h.Revision // which covers the number of its grays
		}
	}
	switch {
	case p.CasMD5 == "":
	case !there:
		guard.Absent = true
	case digest.String() != p.CasMD5:
		return guard, &Error{CasMismatch, "Cas publish fail, server md5 may have changed."}
	default:
		guard.Digest = &digest
	}
	return guard, nil
}

// Remove deletes a config with all its grays, or one tag gray. Removing what is
// absent is success.
func (s *Service) Remove(ctx context.Context, by auth.Actor, r Remove) error {
	if err := CheckFormat(r.DataID, r.Group, r.Tenant); err != nil {
		return err
	}
	if err := CheckKey(r.DataID, r.Group); err != nil {
		return err
	}
	if r.Tag != "" && !legalName(r.Tag) {
		return &Error{BadTag, "invalid tag : " + r.Tag}
	}
	k := Key(r.DataID, r.Group, r.Tenant)
	op := &configstore.Remove{Key: k}
	if r.Tag != "" {
		h, err := s.Head(ctx, k, false)
		if err != nil {
			return err
		}
		op.Variant = variantOfTag(h, r.Tag)
	}
	_, err := s.remove(ctx, by, op)
	return err
}

// RemoveBeta ends the beta gray and says whether there was one.
func (s *Service) RemoveBeta(ctx context.Context, by auth.Actor, k configstore.Key) (bool, error) {
	return s.remove(ctx, by, &configstore.Remove{Key: k, Variant: variantBeta})
}

func (s *Service) remove(ctx context.Context, by auth.Actor, op *configstore.Remove) (bool, error) {
	out, err := txn.Publish(ctx, s.committer, by, configstore.Op{Remove: op})
	if err != nil {
		return false, fmt.Errorf("remove %v: %w", op.Key, err)
	}
	return out.Changed, nil
}

// Query reads the content that answers one caller. It returns ErrNotFound when
// there is none, for blank content and blank names too.
func (s *Service) Query(ctx context.Context, q Query) (*Result, error) {
	if err := s.barrier(ctx, q.Local); err != nil {
		return nil, err
	}
	tag := q.Tag
	if tag == "" {
		tag = q.TagLabel
	}
	item, err := s.configs.Get(ctx, Key(q.DataID, q.Group, q.Tenant), Labels(q.IP, tag))
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("query %s/%s/%s: %w", q.Tenant, q.Group, q.DataID, err)
	case item.Variant == nil && q.Tag != "", isBlankContent(item.Content):
		return nil, ErrNotFound
	}
	return &Result{Item: item}, nil
}

// Beta reads the beta gray with its content, whoever asks; ErrNotFound without
// one. The list of addresses is its rule's Expr.
func (s *Service) Beta(ctx context.Context, k configstore.Key) (*Result, error) {
	h, err := s.Head(ctx, k, false)
	if err != nil {
		return nil, err
	}
	v := findVariant(h, variantBeta)
	if v == nil {
		return nil, ErrNotFound
	}
	item, err := s.configs.At(ctx, k, v.Version)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, ErrNotFound // ended meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("beta of %v: %w", k, err)
	}
	return &Result{Item: &configstore.Item{Head: h, Variant: v, Content: item.Content}}, nil
}

// Head returns one head, nil when the config is absent.
func (s *Service) Head(ctx context.Context, k configstore.Key, local bool) (*configstore.Head, error) {
	heads, err := s.Heads(ctx, []configstore.Key{k}, nil, local)
	if err != nil {
		return nil, err
	}
	return heads[0], nil
}

// Heads returns one head per key, nil for what is absent. dst may be reused.
func (s *Service) Heads(ctx context.Context, ks []configstore.Key, dst []*configstore.Head, local bool) ([]*configstore.Head, error) {
	if err := s.barrier(ctx, local); err != nil {
		return nil, err
	}
	heads, err := s.configs.Heads(ctx, ks, dst)
	if err != nil {
		return nil, fmt.Errorf("heads of configs: %w", err)
	}
	return heads, nil
}

// Search lists configs; it is a plain read of the store after the barrier.
func (s *Service) Search(ctx context.Context, q configstore.Query) (configstore.Page, error) {
	if err := s.barrier(ctx, false); err != nil {
		return configstore.Page{}, err
	}
	page, err := s.configs.Search(ctx, q)
	if err != nil {
		return page, fmt.Errorf("search configs: %w", err)
	}
	return page, nil
}

// barrier makes what is read next as fresh as this member can know (ARC-R08).
func (s *Service) barrier(ctx context.Context, local bool) error {
	if local {
		return nil
	}
	if _, err := s.store.View(ctx, kv.Fresh); err != nil {
		return fmt.Errorf("fresh read: %w", err)
	}
	return nil
}

// op compiles a publication to what the store keeps.
func (p *Publish) op() *configstore.Publish {
	op := &configstore.Publish{
		Key: Key(p.DataID, p.Group, p.Tenant), Content: p.Content, Cipher: p.EncryptedDataKey, Meta: p.meta(),
	}
	if op.Variant, op.Rule = gray(p); op.Variant != "" {
		// The type and metadata of a config are those of its formal content.
		return op
	}
	op.Type, op.App, op.Desc, op.Ext = NormalType(p.Type), p.AppName, &p.Desc, p.ext()
	if p.Tags != nil {
		op.Tags, op.SetTags = splitTags(*p.Tags), true
	}
	return op
}

// Formal reads the formal content of a head as it is now, whoever asks;
// kv.ErrNotFound when it is gone.
func (s *Service) Formal(ctx context.Context, h *configstore.Head) ([]byte, error) {
	item, err := s.configs.At(ctx, h.Key, h.Version)
	if err != nil {
		return nil, fmt.Errorf("content of %v: %w", h.Key, err)
	}
	return item.Content, nil
}
