//! The numbering plan of the country, as far as its shape tells numbers apart, and the towns behind
//! its area codes.

/// 13800138000.
pub fn is_mobile(digits: &str) -> bool {
    digits.len() == 11 && digits.starts_with('1') && matches!(digits.as_bytes()[1], b'3'..=b'9')
}

/// Two digits behind 0 for the largest towns, three for all others.
pub fn is_area(code: &str) -> bool {
    match code.as_bytes() {
        b"010" => true,
        [b'0', b'2', last] => matches!(last, b'0'..=b'5' | b'7'..=b'9'),
        [b'0', b'3'..=b'9', b'0'..=b'9', b'0'..=b'9'] => true,
        _ => false,
    }
}

/// Area code and number, with its 0.
pub fn is_landline(digits: &str) -> bool {
    [(3, 8..=8), (4, 7..=8)].into_iter().any(|(area, lengths)| {
        digits.split_at_checked(area).is_some_and(|(area, local)| {
            is_area(area) && lengths.contains(&local.len()) && is_subscriber(local)
        })
    })
}

/// A landline without its 0, as it comes behind +86 and from some trunks.
pub fn is_trunk_number(digits: &str) -> bool {
    !is_hotline(digits) && !digits.starts_with("95") && is_landline(&format!("0{digits}"))
}

fn is_subscriber(local: &str) -> bool {
    local.starts_with(|first: char| ('2'..='8').contains(&first))
}

/// Short numbers that mean the same everywhere: 110, 12345, 95598, 10086.
pub fn is_shortest(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    match bytes.len() {
        3 => matches!(bytes, b"110" | b"112" | b"114" | b"117" | b"119" | b"120" | b"121" | b"122"),
        5 => {
            matches!(&bytes[..2], b"95" | b"96" | b"12")
                || matches!(&bytes[..3], b"100" | b"101" | b"116" | b"118")
        }
        6 => bytes.starts_with(b"96"),
        _ => false,
    }
}

/// 400 and 800 numbers, and 95 numbers with their branch.
pub fn is_hotline(digits: &str) -> bool {
    match digits.len() {
        10 => digits.starts_with("400") || digits.starts_with("800"),
        6..=11 => digits.starts_with("95"),
        _ => false,
    }
}

/// The town of a landline in its plain form (地区号).
pub fn region(plain: &str) -> Option<&'static str> {
    if !is_landline(plain) {
        return None;
    }
    [3, 4].into_iter().find_map(|length| {
        let area = plain.get(1..length)?;
        TOWNS.binary_search_by_key(&area, |(code, _)| code).ok().map(|at| TOWNS[at].1)
    })
}

/// Without the 0, sorted. Towns that share a code stand under the one that gave it its name.
const TOWNS: &[(&str, &str)] = &[
    ("10", "北京"),
    ("20", "广州"),
    ("21", "上海"),
    ("22", "天津"),
    ("23", "重庆"),
    ("24", "沈阳"),
    ("25", "南京"),
    ("27", "武汉"),
    ("28", "成都"),
    ("29", "西安"),
    ("310", "邯郸"),
    ("311", "石家庄"),
    ("312", "保定"),
    ("313", "张家口"),
    ("314", "承德"),
    ("315", "唐山"),
    ("316", "廊坊"),
    ("317", "沧州"),
    ("318", "衡水"),
    ("319", "邢台"),
    ("335", "秦皇岛"),
    ("351", "太原"),
    ("352", "大同"),
    ("371", "郑州"),
    ("372", "安阳"),
    ("379", "洛阳"),
    ("411", "大连"),
    ("412", "鞍山"),
    ("431", "长春"),
    ("432", "吉林"),
    ("451", "哈尔滨"),
    ("452", "齐齐哈尔"),
    ("459", "大庆"),
    ("471", "呼和浩特"),
    ("472", "包头"),
    ("510", "无锡"),
    ("511", "镇江"),
    ("512", "苏州"),
    ("513", "南通"),
    ("514", "扬州"),
    ("515", "盐城"),
    ("516", "徐州"),
    ("517", "淮安"),
    ("518", "连云港"),
    ("519", "常州"),
    ("523", "泰州"),
    ("527", "宿迁"),
    ("531", "济南"),
    ("532", "青岛"),
    ("533", "淄博"),
    ("535", "烟台"),
    ("536", "潍坊"),
    ("537", "济宁"),
    ("538", "泰安"),
    ("539", "临沂"),
    ("551", "合肥"),
    ("552", "蚌埠"),
    ("553", "芜湖"),
    ("571", "杭州"),
    ("572", "湖州"),
    ("573", "嘉兴"),
    ("574", "宁波"),
    ("575", "绍兴"),
    ("576", "台州"),
    ("577", "温州"),
    ("579", "金华"),
    ("591", "福州"),
    ("592", "厦门"),
    ("595", "泉州"),
    ("631", "威海"),
    ("633", "日照"),
    ("710", "襄阳"),
    ("716", "荆州"),
    ("717", "宜昌"),
    ("730", "岳阳"),
    ("731", "长沙"),
    ("734", "衡阳"),
    ("752", "惠州"),
    ("754", "汕头"),
    ("755", "深圳"),
    ("756", "珠海"),
    ("757", "佛山"),
    ("759", "湛江"),
    ("760", "中山"),
    ("769", "东莞"),
    ("771", "南宁"),
    ("772", "柳州"),
    ("773", "桂林"),
    ("791", "南昌"),
    ("792", "九江"),
    ("797", "赣州"),
    ("816", "绵阳"),
    ("851", "贵阳"),
    ("871", "昆明"),
    ("891", "拉萨"),
    ("898", "海口"),
    ("931", "兰州"),
    ("951", "银川"),
    ("971", "西宁"),
    ("991", "乌鲁木齐"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towns_are_sorted_and_their_codes_are_area_codes() {
        assert!(TOWNS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(TOWNS.iter().all(|(code, _)| is_area(&format!("0{code}"))));
        assert_eq!(region("01063001234"), Some("北京"));
        assert_eq!(region("075582345678"), Some("深圳"));
        assert_eq!(region("13800138000"), None);
        assert_eq!(region("03573001234"), None, "a town nobody wrote down");
    }
}
