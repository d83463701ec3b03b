-- Subjects of an account that its product's rulebook declares, beside the five that every account has:
-- what is in each, as one JSON object of numbers by name, `{"bonus": 10.00, "cash": 90.00}`. Few
-- products have any and none has many, so they need no table of their own; null where there are none.
--
-- Only added to, so that tasks of the release before go on beside this one during a rolling update:
-- they insert and update without the column, which for all the products that they know is null.
--
-- The constraints hold from here on and are proved of older rows by a later file: a scan under this
-- one's locks would stop the stage.

alter table balance add column declared jsonb;

alter table balance add constraint balance_declared_by_name check (
    declared is null or (
        jsonb_typeof(declared) = 'object'
        and not jsonb_path_exists(declared, 'strict $.keyvalue().key ? (!(@ like_regex "^[a-z][a-z_]{0,23}$"))')
    )
) not valid;

-- Below the upper bound no sum of them loses a digit.
alter table balance add constraint balance_declared_in_range check (
    declared is null
    or not jsonb_path_exists(declared, 'strict $.* ? (@.type() != "number" || @ < 0 || @ >= 1000000000000000)')
) not valid;

alter table balance add constraint balance_declared_in_smallest_units check (
    declared is null
    or not jsonb_path_exists(
        declared, 'strict $.* ? (@ * $units != (@ * $units).floor())', ('{"units": 1e' || decimals::text || '}')::jsonb
    )
) not valid;
