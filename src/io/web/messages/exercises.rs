//! Texts of roll-calls, numbers proved by a call, and drills.

/// The texts that it is given, and these.
macro_rules! with_exercises {
    ($($others:tt)*) => { with_escalation! {
        $($others)*

        policy: "呼叫顺序", "Policy";
        policy_hint: "谁何时响铃，有没有问题", "The escalation policy: who rings when, and what is wrong with it";
        roll_call: "点名", "Roll-call";
        roll_call_hint: "给值班领导打电话，本人按 1 才算到；有紧急事项时先打紧急事项。每人一条记录。", "Leaders are called and prove by key 1 that they can be; a real matter goes first. Each has an entry.";
        roll_call_begin: "现在点名", "Call the roll now";
        roll_call_at: "每天自动点名：{}", "By itself every day at {}";
        roll_call_going: "上一次点名还没有完。", "The last roll-call is not over yet.";
        roll_call_nobody: "现在没有人担任要点名的职务，没有叫任何人；请核对值班表。", "Nobody holds a role that is called: nobody was; see to the roster.";
        roll_call_refresh: "刷新", "Refresh";
        roll_call_none: "还没有点过名。", "No roll-call yet.";
        roll_call_by_schedule: "自动", "By schedule";
        exercise_calling: "正在呼叫", "Calling";
        exercise_reached: "按键确认", "Pressed the key";
        exercise_missed: "未应答", "Not reached";
        exercise_gave_way: "让位于紧急事项", "Gave way to a real matter";
        exercise_too_late: "过时未叫", "Too late, left out";
        exercise_not_flagged: "这是演练记录，不能标急；有真的紧急事项，请在来电的记录上按。", "This entry is an exercise and cannot be flagged; a real matter is flagged on the entry of its call.";
        drill_going: "上一次演练还没有完。", "The last drill is not over yet.";
        numbers: "号码核实", "Numbers";
        numbers_hint: "点“打电话核实”，本人接听按 1，号码才算核实过；真正的呈报和点名里按过 1 也算。超过 90 天要再核实。", "Press the button: the number counts as verified when its owner presses 1; so does one pressed in a roll-call or a real matter. After 90 days it is to be done again.";
        number_verified: "{} 核实", "Verified {}";
        number_old: "{} 核实，已过 90 天", "Verified {}, over 90 days ago";
        number_unverified: "未核实", "Not verified";
        numbers_left: "{} 个未核实", "{} not verified";
        number_check: "打电话核实", "Verify by a call";
        number_unknown: "值班表里没有这个号码。", "There is no such number in the roster.";
        number_going: "正在核实这个号码。", "This number is being tried.";
        drill: "演练", "Drill";
        drill_hint: "按真正的呼叫顺位从头叫一遍：电话里每句都先说“演练”，通知写【演练】，页面和记录都带演练标记，不计入统计。有人按 1 或全部叫过即结束；有真的紧急事项时立即让位并结束。", "The real ladder, once: every sentence on the telephone says that it is a drill, so do notices, page and log; it is not counted. It ends with a key 1, when everybody has been tried, or when a real matter begins.";
        drill_begin: "开始演练……（马上给领导打电话）", "Begin a drill … (leaders are called at once)";
        drill_urgent: "演练“急”", "Drill 急";
        drill_critical: "演练“特急”", "Drill 特急";
        exercises_last: "最近的演练和核实", "Drills and numbers tried lately";
        exercise_entry: "记录", "Entry";
    } };
}
