CREATE TABLE account (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	agencies TEXT NOT NULL, 
	key_hash TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	CONSTRAINT pk_account PRIMARY KEY (id), 
	CONSTRAINT ck_account_role CHECK (role IN ('unit', 'ops', 'admin', 'auditor'))
);

CREATE INDEX ix_act_target_agency_key_document_id ON act_target (agency_key, document_id);

CREATE TABLE act_target (
	act_ref TEXT NOT NULL, 
	agency_key TEXT NOT NULL, 
	sender_key TEXT NOT NULL, 
	business_type SMALLINT NOT NULL, 
	document_id TEXT NOT NULL, 
	CONSTRAINT pk_act_target PRIMARY KEY (act_ref, document_id)
);

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE INDEX ix_arrival_state_opens_received_at ON arrival (state, opens, received_at);

CREATE INDEX ix_arrival_state_received_at ON arrival (state, received_at);

CREATE TABLE arrival (
	id TEXT NOT NULL, 
	axis TEXT NOT NULL, 
	axis_doc_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	raw_sha256 TEXT NOT NULL, 
	raw_size BIGINT NOT NULL, 
	listed_from TEXT NOT NULL, 
	listed_to TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	opens INTEGER NOT NULL, 
	lease_until BIGINT, 
	fence INTEGER NOT NULL, 
	sender TEXT DEFAULT '' NOT NULL, 
	document_id TEXT DEFAULT '' NOT NULL, 
	identity TEXT DEFAULT '' NOT NULL, 
	status_code TEXT DEFAULT '' NOT NULL, 
	verdict TEXT NOT NULL, 
	findings TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	CONSTRAINT pk_arrival PRIMARY KEY (id), 
	CONSTRAINT ck_arrival_kind CHECK (kind IN ('document', 'status')), 
	CONSTRAINT ck_arrival_state CHECK (state IN ('RECEIVED', 'OPENED', 'DUPLICATE', 'ORPHAN', 'QUARANTINED', 'RETURNED')), 
	CONSTRAINT uq_arrival_axis_axis_doc_id UNIQUE (axis, axis_doc_id)
);

CREATE TRIGGER arrival_moves BEFORE UPDATE OF state ON "arrival"
WHEN OLD.state <> NEW.state AND NOT (CASE OLD.state
  WHEN 'RECEIVED' THEN NEW.state IN ('OPENED', 'DUPLICATE', 'ORPHAN', 'QUARANTINED')
  WHEN 'ORPHAN' THEN NEW.state IN ('OPENED')
  WHEN 'QUARANTINED' THEN NEW.state IN ('OPENED', 'RETURNED')
  ELSE FALSE END)
BEGIN SELECT RAISE(ABORT, 'transition: arrival'); END;

CREATE INDEX ix_attempt_transfer_id ON attempt (transfer_id);

CREATE TABLE attempt (
	started_at BIGINT NOT NULL, 
	id TEXT NOT NULL, 
	transfer_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	ended_at BIGINT, 
	outcome TEXT DEFAULT '' NOT NULL, 
	code TEXT DEFAULT '' NOT NULL, 
	detail TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_attempt PRIMARY KEY (id, started_at)
);

CREATE TABLE blob (
	sha256 TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	refs INTEGER NOT NULL, 
	touched_at BIGINT NOT NULL, 
	CONSTRAINT pk_blob PRIMARY KEY (sha256)
);

CREATE TABLE breaker (
	axis TEXT NOT NULL, 
	state TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	trips INTEGER NOT NULL, 
	until BIGINT, 
	fence INTEGER NOT NULL, 
	changed_at BIGINT NOT NULL, 
	CONSTRAINT pk_breaker PRIMARY KEY (axis), 
	CONSTRAINT ck_breaker_state CHECK (state IN ('CLOSED', 'OPEN', 'HALF_OPEN'))
);

CREATE TABLE checkpoint (
	epoch INTEGER NOT NULL, 
	size BIGINT NOT NULL, 
	root BLOB NOT NULL, 
	note TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_checkpoint PRIMARY KEY (epoch, size)
);

CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'append_only: checkpoint'); END;

CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'append_only: checkpoint'); END;

CREATE TABLE cosignature (
	epoch INTEGER NOT NULL, 
	size BIGINT NOT NULL, 
	witness TEXT NOT NULL, 
	line TEXT NOT NULL, 
	signed_at BIGINT NOT NULL, 
	received_at BIGINT NOT NULL, 
	CONSTRAINT pk_cosignature PRIMARY KEY (epoch, size, witness)
);

CREATE TRIGGER cosignature_no_delete BEFORE DELETE ON cosignature
BEGIN SELECT RAISE(ABORT, 'append_only: cosignature'); END;

CREATE TRIGGER cosignature_no_update BEFORE UPDATE ON cosignature
BEGIN SELECT RAISE(ABORT, 'append_only: cosignature'); END;

CREATE INDEX ix_document_sender_key_accepted_at ON document (sender_key, accepted_at);

CREATE INDEX ix_document_sender_key_document_id ON document (sender_key, document_id);

CREATE TABLE document (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	sender TEXT NOT NULL, 
	sender_key TEXT NOT NULL, 
	document_id TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	business_type SMALLINT NOT NULL, 
	header TEXT NOT NULL, 
	files TEXT NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	released_at BIGINT NOT NULL, 
	released_source TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	about_item TEXT, 
	CONSTRAINT pk_document PRIMARY KEY (id), 
	CONSTRAINT ck_document_kind CHECK (kind IN ('document', 'status'))
);

CREATE TABLE document_key (
	sender_key TEXT NOT NULL, 
	document_id TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	CONSTRAINT pk_document_key PRIMARY KEY (sender_key, document_id)
);

CREATE TABLE entry (
	epoch INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	record_id TEXT NOT NULL, 
	leaf BLOB NOT NULL, 
	CONSTRAINT pk_entry PRIMARY KEY (epoch, seq), 
	CONSTRAINT uq_entry_record_id UNIQUE (record_id)
);

CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'append_only: entry'); END;

CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'append_only: entry'); END;

CREATE INDEX ix_fetch_axis_state_due_at ON fetch (axis, state, due_at);

CREATE INDEX ix_fetch_axis_state_kind_tries_due_at ON fetch (axis, state, kind, tries, due_at);

CREATE TABLE fetch (
	axis TEXT NOT NULL, 
	axis_doc_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	sender TEXT DEFAULT '' NOT NULL, 
	receiver TEXT DEFAULT '' NOT NULL, 
	listed_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	lease_until BIGINT, 
	fence INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	equal_failures INTEGER NOT NULL, 
	last_code TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_fetch PRIMARY KEY (axis, axis_doc_id), 
	CONSTRAINT ck_fetch_kind CHECK (kind IN ('document', 'status')), 
	CONSTRAINT ck_fetch_state CHECK (state IN ('DUE', 'FETCHED', 'HELD'))
);

CREATE TRIGGER fetch_moves BEFORE UPDATE OF state ON "fetch"
WHEN OLD.state <> NEW.state AND NOT (CASE OLD.state
  WHEN 'DUE' THEN NEW.state IN ('FETCHED', 'HELD')
  WHEN 'HELD' THEN NEW.state IN ('DUE', 'FETCHED')
  ELSE FALSE END)
BEGIN SELECT RAISE(ABORT, 'transition: fetch'); END;

CREATE TABLE idempotency (
	account_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	content TEXT NOT NULL, 
	status SMALLINT NOT NULL, 
	answer TEXT NOT NULL, 
	location TEXT DEFAULT '' NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_idempotency PRIMARY KEY (account_id, "key")
);

CREATE INDEX ix_inbox_item_agency_key_document_id ON inbox_item (agency_key, document_id);

CREATE INDEX ix_inbox_item_arrival_id ON inbox_item (arrival_id);

CREATE INDEX ix_inbox_item_open ON inbox_item (agency_key, kind, lane, id) WHERE state IN ('LEASED', 'WAITING');

CREATE TABLE "inbox_item" (
	id TEXT NOT NULL, 
	arrival_id TEXT, 
	agency TEXT NOT NULL, 
	agency_key TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	state TEXT NOT NULL, 
	lane SMALLINT NOT NULL, 
	axis TEXT NOT NULL, 
	sender TEXT NOT NULL, 
	document_id TEXT NOT NULL, 
	status_code TEXT DEFAULT '' NOT NULL, 
	about_document TEXT, 
	content TEXT NOT NULL, 
	available_at BIGINT NOT NULL, 
	fetched_at BIGINT, 
	entered_at BIGINT, 
	lease_token TEXT DEFAULT '' NOT NULL, 
	lease_until BIGINT, 
	answer TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_inbox_item PRIMARY KEY (id), 
	CONSTRAINT ck_inbox_item_kind CHECK (kind IN ('document', 'status', 'report')), 
	CONSTRAINT ck_inbox_item_state CHECK (state IN ('WAITING', 'LEASED', 'ENTERED', 'REFUSED', 'RECALLED', 'SEEN')), 
	CONSTRAINT fk_inbox_item_arrival_id FOREIGN KEY(arrival_id) REFERENCES arrival (id), 
	CONSTRAINT uq_inbox_item_agency_key_identity UNIQUE (agency_key, identity)
);

CREATE TRIGGER inbox_item_moves BEFORE UPDATE OF state ON "inbox_item"
WHEN OLD.state <> NEW.state AND NOT (CASE OLD.kind WHEN 'document' THEN (CASE OLD.state
  WHEN 'WAITING' THEN NEW.state IN ('LEASED', 'ENTERED', 'REFUSED', 'RECALLED')
  WHEN 'LEASED' THEN NEW.state IN ('WAITING', 'ENTERED', 'REFUSED', 'RECALLED')
  WHEN 'ENTERED' THEN NEW.state IN ('REFUSED', 'RECALLED')
  ELSE FALSE END) WHEN 'status' THEN (CASE OLD.state
  WHEN 'WAITING' THEN NEW.state IN ('LEASED', 'SEEN')
  WHEN 'LEASED' THEN NEW.state IN ('WAITING', 'SEEN')
  ELSE FALSE END) WHEN 'report' THEN (CASE OLD.state
  WHEN 'WAITING' THEN NEW.state IN ('LEASED', 'SEEN')
  WHEN 'LEASED' THEN NEW.state IN ('WAITING', 'SEEN')
  ELSE FALSE END) ELSE FALSE END)
BEGIN SELECT RAISE(ABORT, 'transition: inbox_item'); END;

CREATE TABLE lease (
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	until BIGINT NOT NULL, 
	CONSTRAINT pk_lease PRIMARY KEY (name)
);

CREATE TABLE node (
	epoch INTEGER NOT NULL, 
	level SMALLINT NOT NULL, 
	idx BIGINT NOT NULL, 
	hash BLOB NOT NULL, 
	CONSTRAINT pk_node PRIMARY KEY (epoch, level, idx)
);

CREATE TRIGGER node_no_delete BEFORE DELETE ON node
BEGIN SELECT RAISE(ABORT, 'append_only: node'); END;

CREATE TRIGGER node_no_update BEFORE UPDATE ON node
BEGIN SELECT RAISE(ABORT, 'append_only: node'); END;

CREATE TABLE noted (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_noted PRIMARY KEY (name)
);

CREATE INDEX ix_orphan_due_at ON orphan (due_at);

CREATE TABLE orphan (
	arrival_id TEXT NOT NULL, 
	agency_key TEXT NOT NULL, 
	document_id TEXT NOT NULL, 
	due_at BIGINT NOT NULL, 
	tries INTEGER NOT NULL, 
	CONSTRAINT pk_orphan PRIMARY KEY (arrival_id)
);

CREATE INDEX ix_pending_at_record_id ON pending (at, record_id);

CREATE TABLE pending (
	record_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_pending PRIMARY KEY (record_id)
);

CREATE TABLE personal (
	record_id TEXT NOT NULL, 
	field TEXT NOT NULL, 
	salt TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_personal PRIMARY KEY (record_id, field)
);

CREATE TABLE received_key (
	agency_key TEXT NOT NULL, 
	sender_key TEXT NOT NULL, 
	document_id TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	CONSTRAINT pk_received_key PRIMARY KEY (agency_key, sender_key, document_id)
);

CREATE TABLE recipient (
	transfer_id TEXT NOT NULL, 
	agency_key TEXT NOT NULL, 
	agency TEXT NOT NULL, 
	state TEXT NOT NULL, 
	status_code TEXT DEFAULT '' NOT NULL, 
	on_axis_at BIGINT, 
	entered_at BIGINT, 
	entered_source TEXT DEFAULT '' NOT NULL, 
	moved_at BIGINT NOT NULL, 
	CONSTRAINT pk_recipient PRIMARY KEY (transfer_id, agency_key), 
	CONSTRAINT ck_recipient_state CHECK (state IN ('PENDING', 'ON_AXIS', 'ARRIVED', 'REJECTED', 'ACCEPTED', 'ASSIGNED', 'PROCESSING', 'FINISHED', 'TAKE_BACK_AGREED', 'TAKE_BACK_REFUSED', 'NOT_DELIVERED', 'RECALLED', 'NO_ANSWER')), 
	CONSTRAINT fk_recipient_transfer_id FOREIGN KEY(transfer_id) REFERENCES transfer (id)
);

CREATE INDEX ix_reconciliation_axis_day ON reconciliation (axis, day);

CREATE TABLE reconciliation (
	id TEXT NOT NULL, 
	axis TEXT NOT NULL, 
	day TEXT NOT NULL, 
	once TEXT NOT NULL, 
	made_at BIGINT NOT NULL, 
	counts TEXT NOT NULL, 
	report BLOB NOT NULL, 
	note TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	CONSTRAINT pk_reconciliation PRIMARY KEY (id), 
	CONSTRAINT uq_reconciliation_once UNIQUE (once)
);

CREATE TRIGGER reconciliation_no_delete BEFORE DELETE ON reconciliation
BEGIN SELECT RAISE(ABORT, 'append_only: reconciliation'); END;

CREATE TRIGGER reconciliation_no_update BEFORE UPDATE ON reconciliation
BEGIN SELECT RAISE(ABORT, 'append_only: reconciliation'); END;

CREATE INDEX ix_reconciliation_page_run_id ON reconciliation_page (run_id);

CREATE TABLE reconciliation_page (
	axis TEXT NOT NULL, 
	day TEXT NOT NULL, 
	page INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	"after" TEXT NOT NULL, 
	found TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_reconciliation_page PRIMARY KEY (axis, day, page)
);

CREATE INDEX ix_record_arrival_id ON record (arrival_id);

CREATE INDEX ix_record_document_ref ON record (document_ref);

CREATE INDEX ix_record_of_ledger ON record (event) WHERE event IN ('ledger.key_changed', 'ledger.rehashed');

CREATE TABLE record (
	id TEXT NOT NULL, 
	event TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	body BLOB NOT NULL, 
	document_ref TEXT, 
	arrival_id TEXT, 
	CONSTRAINT pk_record PRIMARY KEY (id)
);

CREATE TRIGGER record_no_delete BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'append_only: record'); END;

CREATE TRIGGER record_no_update BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'append_only: record'); END;

CREATE INDEX ix_revocation_due_at ON revocation (due_at);

CREATE TABLE revocation (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	url TEXT NOT NULL, 
	certificate BLOB NOT NULL, 
	issuer BLOB NOT NULL, 
	data BLOB, 
	sha256 TEXT DEFAULT '' NOT NULL, 
	this_update BIGINT, 
	next_update BIGINT, 
	fetched_at BIGINT, 
	since BIGINT NOT NULL, 
	wanted_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	failures INTEGER NOT NULL, 
	last_code TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_revocation PRIMARY KEY (id), 
	CONSTRAINT ck_revocation_kind CHECK (kind IN ('crl', 'ocsp'))
);

CREATE TABLE sent_receiver (
	sender_key TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	receiver_key TEXT NOT NULL, 
	document_ref TEXT NOT NULL, 
	CONSTRAINT pk_sent_receiver PRIMARY KEY (sender_key, identity, receiver_key)
);

CREATE INDEX ix_stamp_epoch_size ON stamp (epoch, size);

CREATE TABLE stamp (
	id TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	size BIGINT NOT NULL, 
	authority TEXT NOT NULL, 
	token BLOB NOT NULL, 
	gen_time BIGINT NOT NULL, 
	policy TEXT NOT NULL, 
	serial TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	CONSTRAINT pk_stamp PRIMARY KEY (id)
);

CREATE TRIGGER stamp_no_delete BEFORE DELETE ON stamp
BEGIN SELECT RAISE(ABORT, 'append_only: stamp'); END;

CREATE TRIGGER stamp_no_update BEFORE UPDATE ON stamp
BEGIN SELECT RAISE(ABORT, 'append_only: stamp'); END;

CREATE TABLE stamp_use (
	authority TEXT NOT NULL, 
	day TEXT NOT NULL, 
	granted INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	cost BIGINT NOT NULL, 
	CONSTRAINT pk_stamp_use PRIMARY KEY (authority, day)
);

CREATE INDEX ix_status_event_document_ref ON status_event (document_ref);

CREATE TABLE status_event (
	received_at BIGINT NOT NULL, 
	id TEXT NOT NULL, 
	document_ref TEXT NOT NULL, 
	agency_key TEXT NOT NULL, 
	code TEXT NOT NULL, 
	timestamp TEXT NOT NULL, 
	arrival_id TEXT NOT NULL, 
	CONSTRAINT pk_status_event PRIMARY KEY (id, received_at)
);

CREATE INDEX ix_transfer_axis_accepted_at ON transfer (axis, accepted_at);

CREATE INDEX ix_transfer_axis_moved_at ON transfer (axis, moved_at) WHERE state = 'ON_AXIS';

CREATE INDEX ix_transfer_axis_state_lane ON transfer (axis, state, lane);

CREATE INDEX ix_transfer_dead ON transfer (moved_at, id) WHERE state IN ('REFUSED', 'HELD', 'EXPIRED');

CREATE INDEX ix_transfer_document_ref ON transfer (document_ref);

CREATE INDEX ix_transfer_due ON transfer (axis, lane, due_at, id) WHERE behind = 0 AND due_at IS NOT NULL;

CREATE INDEX ix_transfer_due_date ON transfer (due_date) WHERE state IN ('SEALED', 'DEFERRED', 'UNCERTAIN') AND due_date IS NOT NULL;

CREATE INDEX ix_transfer_expires_at ON transfer (expires_at) WHERE state IN ('SEALED', 'DEFERRED', 'UNCERTAIN');

CREATE INDEX ix_transfer_held_due ON transfer (due_date) WHERE state = 'HELD' AND due_date IS NOT NULL;

CREATE INDEX ix_transfer_lapsing ON transfer (expires_at) WHERE due_at IS NOT NULL;

CREATE INDEX ix_transfer_leased ON transfer (lease_until) WHERE lease_until IS NOT NULL;

CREATE INDEX ix_transfer_listed ON transfer (state, lane, id) WHERE lane >= 0;

CREATE INDEX ix_transfer_paced ON transfer (axis, due_at) WHERE pace_ms IS NOT NULL AND due_at IS NOT NULL;

CREATE INDEX ix_transfer_record_id ON transfer (record_id);

CREATE UNIQUE INDEX ix_transfer_replay_of ON transfer (replay_of);

CREATE TABLE transfer (
	id TEXT NOT NULL, 
	document_ref TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	axis TEXT NOT NULL, 
	state TEXT NOT NULL, 
	lane SMALLINT NOT NULL, 
	due_at BIGINT, 
	doubt BOOLEAN NOT NULL, 
	attempts INTEGER NOT NULL, 
	sender TEXT NOT NULL, 
	package_sha256 TEXT NOT NULL, 
	package_size BIGINT NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	lease_until BIGINT, 
	fence INTEGER NOT NULL, 
	last_code TEXT DEFAULT '' NOT NULL, 
	last_detail TEXT DEFAULT '' NOT NULL, 
	equal_answers INTEGER NOT NULL, 
	remote_ref TEXT DEFAULT '' NOT NULL, 
	hold_cause TEXT DEFAULT '' NOT NULL, 
	record_id TEXT NOT NULL, 
	replay_of TEXT, 
	reroute_of TEXT, 
	moved_at BIGINT NOT NULL, due_date TEXT, behind INTEGER DEFAULT '0' NOT NULL, destination TEXT DEFAULT '' NOT NULL, pace_ms INTEGER, 
	CONSTRAINT pk_transfer PRIMARY KEY (id), 
	CONSTRAINT ck_transfer_kind CHECK (kind IN ('document', 'status')), 
	CONSTRAINT ck_transfer_state CHECK (state IN ('ACCEPTED', 'SEALED', 'SENDING', 'ON_AXIS', 'DEFERRED', 'REFUSED', 'UNCERTAIN', 'HELD', 'EXPIRED', 'WITHDRAWN', 'REROUTED')), 
	CONSTRAINT fk_transfer_document_ref FOREIGN KEY(document_ref) REFERENCES document (id)
);

CREATE TRIGGER transfer_moves BEFORE UPDATE OF state ON "transfer"
WHEN OLD.state <> NEW.state AND NOT (CASE OLD.state
  WHEN 'ACCEPTED' THEN NEW.state IN ('SEALED', 'HELD', 'WITHDRAWN')
  WHEN 'SEALED' THEN NEW.state IN ('SENDING', 'HELD', 'EXPIRED', 'WITHDRAWN', 'REROUTED')
  WHEN 'SENDING' THEN NEW.state IN ('ON_AXIS', 'DEFERRED', 'REFUSED', 'UNCERTAIN', 'HELD', 'EXPIRED')
  WHEN 'DEFERRED' THEN NEW.state IN ('SENDING', 'ON_AXIS', 'HELD', 'EXPIRED', 'WITHDRAWN', 'REROUTED')
  WHEN 'REFUSED' THEN NEW.state IN ('ON_AXIS')
  WHEN 'UNCERTAIN' THEN NEW.state IN ('SENDING', 'ON_AXIS', 'HELD')
  WHEN 'HELD' THEN NEW.state IN ('ACCEPTED', 'SEALED', 'ON_AXIS', 'EXPIRED', 'WITHDRAWN', 'REROUTED')
  WHEN 'EXPIRED' THEN NEW.state IN ('ON_AXIS')
  ELSE FALSE END)
BEGIN SELECT RAISE(ABORT, 'transition: transfer'); END;

CREATE TABLE turn (
	transfer_id TEXT NOT NULL, 
	after_id TEXT NOT NULL, 
	CONSTRAINT pk_turn PRIMARY KEY (after_id, transfer_id)
);

CREATE INDEX ix_unjudged_due_at ON unjudged (due_at);

CREATE TABLE unjudged (
	arrival_id TEXT NOT NULL, 
	certificate BLOB NOT NULL, 
	others TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	CONSTRAINT pk_unjudged PRIMARY KEY (arrival_id), 
	CONSTRAINT fk_unjudged_arrival_id FOREIGN KEY(arrival_id) REFERENCES arrival (id)
);

CREATE TABLE unsaid (
	digest BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	size BIGINT NOT NULL, 
	witness TEXT NOT NULL, 
	CONSTRAINT pk_unsaid PRIMARY KEY (digest)
);

CREATE TABLE worker_turn (
	worker TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_worker_turn PRIMARY KEY (worker)
);

