//! How our values are written in columns.

use super::error::{Result, StoreError};
use crate::duty::escalation::Moment;
use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, Utc};
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{Deserialize, DeserializeOwned, IntoDeserializer};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// A unit-like enum as the name serde gives it.
pub(super) fn name<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => unreachable!("only enums without fields are written by name"),
    }
}

/// Something with a name of its own kind in a text column: an enum by serde's name.
pub(super) struct Named<T>(pub T);

impl<T: DeserializeOwned> FromSql for Named<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text: StrDeserializer<'_, ValueError> = value.as_str()?.into_deserializer();
        T::deserialize(text)
            .map(Self)
            .map_err(|error| FromSqlError::Other(error.to_string().into()))
    }
}

/// An id in a text column.
pub(super) struct Id<T>(pub T);

impl<T: FromStr> FromSql for Id<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|error: T::Err| FromSqlError::Other(error.into()))
    }
}

impl<T: std::fmt::Display> ToSql for Id<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

/// Milliseconds since 1970 in UTC.
pub(super) fn ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

pub(super) struct Ms(pub DateTime<Utc>);

impl FromSql for Ms {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let ms = value.as_i64()?;
        DateTime::from_timestamp_millis(ms).map(Self).ok_or(FromSqlError::OutOfRange(ms))
    }
}

pub(super) fn mono(now: Now) -> i64 {
    mono_of(now.mono)
}

pub(super) fn mono_of(mono: Mono) -> i64 {
    i64::try_from(mono.0).unwrap_or(i64::MAX)
}

pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A moment from its two columns.
pub(super) fn moment(wall: Ms, mono: Option<i64>) -> Moment {
    let mono = mono.and_then(|mono| u64::try_from(mono).ok());
    Moment { wall: wall.0, mono: mono.filter(|mono| *mono != 0).map(Mono) }
}

/// A number that is not negative.
pub(super) struct Whole(pub u64);

impl FromSql for Whole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

pub(super) fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Bug(error.to_string()))
}

pub(super) fn from_json<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<DateTime<Utc>>> {
    Ok(row.get::<_, Option<Ms>>(column)?.map(|at| at.0))
}

pub(super) fn optional<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<Named<T>>>(column)?.map(|named| named.0))
}
