-- Each of these two finds live accounts, and nothing but what the index is for asks for it. With one condition for both, a plan
-- that was made while there was hardly an account might go through all of the other one, for as long as it is kept.
DROP INDEX accounts_mobile, accounts_member_code;
CREATE UNIQUE INDEX accounts_mobile ON accounts (mobile)
    WHERE mobile IS NOT NULL AND deleted_at IS NULL AND closed_at IS NULL;
CREATE UNIQUE INDEX accounts_member_code ON accounts (member_code)
    WHERE member_code IS NOT NULL AND deleted_at IS NULL AND closed_at IS NULL;
