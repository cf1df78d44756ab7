-- What a bind of a new number writes, and nothing else: what must be known beforehand is known, nobody asks over HTTP, and
-- nothing is looked up. All in one round trip, which is one transaction.
\set n :n + 1
\set id :first + :client_id * :share + :n
\set scattered hash_murmur2(:id, 1)
\set afar hash_murmur2(:id, 2)
\startpipeline
DELETE FROM challenges WHERE mobile = (20000000000 + :id::bigint)::text AND client = 'uuid:' || md5(:id::text);
INSERT INTO identities (account_id, platform, app_id, openid, unionid, held)
VALUES (:id, 1, '', 'o' || lpad(to_hex(:scattered::bigint), 16, '0') || left(to_hex(:afar::bigint), 11), NULL, true);
INSERT INTO accounts (id, revision, member_code, status, mobile, nickname, avatar, gender, province, city, county, shop,
    referrer, added_at, updated_at, deleted_at, closed_at, mobile_since)
VALUES (:id, :id, '8888' || lpad(:id::text, 10, '0'), 0, (20000000000 + :id::bigint)::text, '微信用户',
    'https://thirdwx.qlogo.cn/mmopen/vi_32/o' || to_hex(:scattered::bigint) || left(to_hex(:afar::bigint), 11) || '/132', 0, '上海',
    '浦东新区', '', NULL, NULL, :now, NULL, NULL, NULL, :now);
INSERT INTO sessions (id, account_id, client_type, seed, key_id, issued_at, used_at)
VALUES (int8send(:scattered) || int8send(:afar), :id, 17, int8send(:afar) || int8send(:scattered), 'AAAAAAAA', :now, :now);
INSERT INTO receipts (mobile, client, fingerprint, expires_at, account_id, session_id)
VALUES ((20000000000 + :id::bigint)::text, 'uuid:' || md5(:id::text), sha256(int8send(:scattered)), :now::bigint + 10000, :id,
    int8send(:scattered) || int8send(:afar));
INSERT INTO audit_events (node, sequence, mark, event)
VALUES (4000000000, :id::bigint * 256, int8send(:scattered), int8send(:afar) || sha256(int8send(:scattered)) || int8send(:afar)
    || int8send(:scattered) || int4send(0));
\endpipeline
